//! Values of the configuration: what settings that derive `Deserialize` say with `deserialize_with`.
//!
//! An error is a phrase that says what is expected ("a whole number of days from 0 to 1000000"): whoever reads the file adds
//! the key, its line and its value.

use serde::de::{self, Deserializer, Error as _, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use std::path::{Path, PathBuf};

/// A key whose value is of the right type and still cannot be used: what only several keys together can get wrong, and what a URL may be.
#[derive(Debug, PartialEq)]
pub struct InvalidKey {
    /// Within the section of the settings: `warning_percent`, `jobs[2].name`.
    pub key: String,
    /// Goes on after the key's name: "is 90; it must not be above …".
    pub message: String,
    pub hint: Option<String>,
}

impl InvalidKey {
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        Self { key: key.into(), message: message.into(), hint: None }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// That a threshold for warnings is not above the critical one.
///
/// # Errors
/// It is; the error is about `warning_key`.
pub fn check_thresholds(
    (warning_key, warning): (&str, f64),
    (critical_key, critical): (&str, f64),
) -> Result<(), InvalidKey> {
    if warning <= critical {
        return Ok(());
    }
    let message =
        format!("is {warning}; it must not be above `{critical_key}`, which is {critical}");
    Err(InvalidKey::new(warning_key, message))
}

/// That no two entries of a list have one name.
///
/// # Errors
/// Two have; the error is about the second one's `name`.
pub fn check_names<'a>(
    list: &str,
    names: impl IntoIterator<Item = &'a str>,
) -> Result<(), InvalidKey> {
    let mut seen: Vec<&str> = Vec::new();
    for name in names {
        if seen.contains(&name) {
            let key = format!("{list}[{}].name", seen.len() + 1);
            return Err(InvalidKey::new(
                key,
                format!("is {name:?}, which another entry is called too"),
            ));
        }
        seen.push(name);
    }
    Ok(())
}

/// That a URL has one of some schemes, and something behind it. The URL itself is not quoted: it may hold a password.
///
/// # Errors
/// It does not; the error is about `key`.
pub fn check_scheme(key: &str, url: &str, schemes: &[&str]) -> Result<(), InvalidKey> {
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    if schemes.contains(&scheme) && !rest.is_empty() {
        return Ok(());
    }
    let forms: Vec<String> = schemes.iter().map(|scheme| format!("{scheme}://")).collect();
    let message = format!("must be a URL that starts with {}", forms.join(" or "));
    Err(InvalidKey::new(key, message))
}

/// A name that is shown in messages: a text on one line.
pub fn optional_name<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    let name = String::deserialize(deserializer)?;
    if name.trim().is_empty() || name.contains(char::is_control) {
        return Err(D::Error::custom("a name on one line, such as \"shop\""));
    }
    Ok(Some(name))
}

/// A whole number from `MIN` to `MAX`. Every range used fits the field's type and a double's 53 bits.
pub fn whole_number<'de, D: Deserializer<'de>, T: TryFrom<u64>, const MIN: u64, const MAX: u64>(
    deserializer: D,
) -> Result<T, D::Error> {
    whole_number_of("", MIN, MAX, deserializer)
}

fn whole_number_of<'de, D: Deserializer<'de>, T: TryFrom<u64>>(
    unit: &'static str,
    min: u64,
    max: u64,
    deserializer: D,
) -> Result<T, D::Error> {
    let range = Range { min: min as f64, max: max as f64, is_whole: true, unit };
    let number = deserializer.deserialize_any(range)?;
    T::try_from(number as u64).map_err(|_| D::Error::custom("a smaller number"))
}

/// At most a million: further back than any database's calendar has to reach.
pub fn days<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    whole_number_of("days", 0, 1_000_000, deserializer)
}

pub fn optional_days<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    days(deserializer).map(Some)
}

pub fn hours<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    whole_number_of("hours", 0, 24_000_000, deserializer)
}

pub fn percent<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let range = Range { min: 0.0, max: 100.0, is_whole: false, unit: "percent" };
    deserializer.deserialize_any(range)
}

pub fn optional_percent<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<f64>, D::Error> {
    percent(deserializer).map(Some)
}

/// GiB, up to the largest number of bytes.
pub fn optional_size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    let range = Range { min: 0.0, max: 8e9, is_whole: false, unit: "GiB" };
    deserializer.deserialize_any(range).map(Some)
}

/// Any number but `nan` and `inf`, which TOML has too.
pub fn finite_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    if !value.is_finite() {
        return Err(D::Error::custom("a number"));
    }
    Ok(value)
}

/// A text that is more than blanks.
pub fn non_empty_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    NonEmptyText::deserialize(deserializer).map(|NonEmptyText(text)| text)
}

/// A key that is read by other means: what else the file says decides how.
pub fn read_later<'de, D: Deserializer<'de>, T: Default>(deserializer: D) -> Result<T, D::Error> {
    de::IgnoredAny::deserialize(deserializer).map(|_| T::default())
}

/// A text without the blanks around it.
pub fn trimmed_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(String::deserialize(deserializer)?.trim().to_owned())
}

/// A text that is left out or empty where there is none.
pub mod optional_text {
    use serde::{Deserializer, Serializer};

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<String>, D::Error> {
        super::trimmed_text(deserializer).map(|text| Some(text).filter(|text| !text.is_empty()))
    }

    pub fn serialize<S: Serializer>(
        text: &Option<String>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(text.as_deref().unwrap_or_default())
    }
}

/// A list, which may be empty, of texts that may not.
pub fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let texts = Vec::<NonEmptyText>::deserialize(deserializer)?;
    Ok(texts.into_iter().map(|NonEmptyText(text)| text).collect())
}

pub fn one_or_more_texts<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<String>, D::Error> {
    let texts = texts(deserializer)?;
    if texts.is_empty() {
        return Err(D::Error::custom("a list of at least one text"));
    }
    Ok(texts)
}

/// A program and its arguments, which may be empty texts.
pub fn command<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let words = Vec::<String>::deserialize(deserializer)?;
    if words.first().is_none_or(|program| program.trim().is_empty()) {
        return Err(D::Error::custom("a list of a program and its arguments"));
    }
    Ok(words)
}

/// A time of at least a second, as `"2h"`, `"1h 30m"`, or a number of seconds; in seconds.
pub fn optional_duration<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<u32>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        Seconds(u32),
        Text(String),
    }
    let expected =
        || D::Error::custom("a time such as \"2h\" or \"1h 30m\", or a number of seconds");
    let seconds = match Given::deserialize(deserializer).map_err(|_| expected())? {
        Given::Seconds(seconds) => Some(seconds),
        Given::Text(text) => {
            let parsed = humantime::parse_duration(&text).ok();
            parsed.and_then(|duration| u32::try_from(duration.as_secs()).ok())
        }
    };
    seconds.filter(|seconds| *seconds > 0).ok_or_else(expected).map(Some)
}

/// The form of a cron expression: five fields, or a word such as `@daily`. What it means is read when a command needs the jobs, so that an expression
/// that a cron may know does not keep the other jobs from their work.
pub fn cron<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    const WORDS: [&str; 8] = [
        "@reboot",
        "@hourly",
        "@daily",
        "@midnight",
        "@weekly",
        "@monthly",
        "@yearly",
        "@annually",
    ];
    let text = String::deserialize(deserializer)?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "*/,-~".contains(c);
    let fields: Vec<&str> = text.split_whitespace().collect();
    let has_form = fields.len() == 5 && fields.iter().all(|field| field.chars().all(is_plain));
    if has_form || WORDS.contains(&text.trim()) {
        return Ok(text);
    }
    Err(D::Error::custom(
        "a cron expression of five fields, such as \"0 2 * * *\", or a word such as \"@daily\"",
    ))
}

pub fn path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    PathText::deserialize(deserializer).map(|PathText(path)| path)
}

pub fn optional_path<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<PathBuf>, D::Error> {
    path(deserializer).map(Some)
}

/// A list of paths, which may be empty.
pub fn paths<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PathBuf>, D::Error> {
    let paths = Vec::<PathText>::deserialize(deserializer)?;
    Ok(paths.into_iter().map(|PathText(path)| path).collect())
}

pub fn one_or_more_paths<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<PathBuf>, D::Error> {
    let paths = paths(deserializer)?;
    if paths.is_empty() {
        return Err(D::Error::custom("a list of at least one path"));
    }
    Ok(paths)
}

/// A path for people: one that is not UTF-8 must not make the configuration unprintable.
pub fn show_path<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

pub fn show_paths<S: Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().map(|path| path.display().to_string()))
}

pub fn show_optional_path<S: Serializer>(
    path: &Option<PathBuf>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    path.as_ref().map(|path| path.display().to_string()).serialize(serializer)
}

/// A path from a folder on, without `.` in it. `..` stays: behind a symbolic link it does not lead back.
pub fn absolute(folder: &Path, path: &Path) -> PathBuf {
    let joined = folder.join(path);
    joined.components().filter(|part| *part != std::path::Component::CurDir).collect()
}

struct NonEmptyText(String);

impl<'de> Deserialize<'de> for NonEmptyText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.trim().is_empty() {
            return Err(D::Error::custom("a text that is not empty"));
        }
        Ok(Self(text))
    }
}

/// A path as it is written. `~` is the shell's: here it would quietly become a folder of that name.
struct PathText(PathBuf);

impl<'de> Deserialize<'de> for PathText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let NonEmptyText(text) = NonEmptyText::deserialize(deserializer)?;
        if text == "~" || text.starts_with("~/") {
            return Err(D::Error::custom("a path without ~, which only a shell knows"));
        }
        Ok(Self(PathBuf::from(text)))
    }
}

/// A number read into the range that its key allows.
struct Range {
    min: f64,
    max: f64,
    is_whole: bool,
    /// "days", or nothing.
    unit: &'static str,
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = if self.unit.is_empty() { "" } else { " of " };
        let kind = if self.is_whole { "a whole number" } else { "a number" };
        write!(f, "{kind}{of}{} from {} to {}", self.unit, self.min, self.max)
    }
}

impl Visitor<'_> for Range {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<f64, E> {
        let value = number as f64;
        if value < self.min || value > self.max {
            return Err(E::invalid_value(de::Unexpected::Signed(number), &self));
        }
        Ok(value)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<f64, E> {
        // `contains` refuses `nan` too.
        let fits = (self.min..=self.max).contains(&number);
        if self.is_whole || !fits {
            return Err(E::invalid_value(de::Unexpected::Float(number), &self));
        }
        Ok(number)
    }
}
