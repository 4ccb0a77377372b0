//! Which database answered.

use super::Finding;
use crate::language::Language;
use crate::store::inspect::Inspection;

pub fn database(inspection: &Inspection, language: Language) -> Finding {
    let server = &inspection.server;
    Finding::ok(match &inspection.user {
        Some(user) => {
            language.pick(format!("{server}，用户 {user}"), format!("{server}, as {user}"))
        }
        None => server.clone(),
    })
}
