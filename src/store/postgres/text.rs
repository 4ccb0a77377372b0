//! Texts in rows. A database of the encoding SQL_ASCII holds whatever bytes were written to it, and hands them over as they are; what the server
//! cannot translate comes as bytes too.

use postgres::Row;
use postgres::types::{FromSql, Type};
use std::error::Error;

/// The bytes of a text, which need not be valid in its encoding.
pub struct Raw<'a>(pub &'a [u8]);

impl Raw<'_> {
    /// What is no UTF-8 is replaced.
    pub fn lossy(self) -> String {
        String::from_utf8_lossy(self.0).into_owned()
    }

    /// `None`: it is no UTF-8.
    pub fn valid(self) -> Option<String> {
        std::str::from_utf8(self.0).ok().map(str::to_owned)
    }
}

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Raw(raw))
    }

    fn accepts(found: &Type) -> bool {
        matches!(*found, Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::BYTEA)
    }
}

/// An expression as text that is cut after so many characters. To look first how many bytes there are costs a sixth of counting characters, and reads
/// nothing that is stored apart.
pub fn cut(expression: &str, most: usize) -> String {
    let text = format!("({expression})::text");
    format!("(CASE WHEN octet_length({text}) < {most} THEN {text} ELSE left({text}, {most}) END)")
}

/// A text to be shown, or to be compared with what can only be valid.
pub fn text(row: &Row, place: usize) -> Result<Option<String>, postgres::Error> {
    Ok(row.try_get::<_, Option<Raw>>(place)?.map(Raw::lossy))
}
