//! The environment of the process, read once.

use crate::outcome::{Failure, Kind};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// A snapshot of the environment variables. An empty variable counts as unset: cron's bare environment and
/// `VAR= command` must not differ.
///
/// It holds passwords: its `Debug` names the variables only.
#[derive(Clone, Default)]
pub struct Env(BTreeMap<String, OsString>);

impl Env {
    /// The environment of this process. Variables whose names are not UTF-8 are none of taskmon's.
    pub fn read() -> Self {
        let named =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value)));
        Self(named.collect())
    }

    /// A variable's text; `None` if it is unset or empty.
    ///
    /// # Errors
    /// [`Kind::ConfigInvalid`] if its value is not UTF-8: it is set, and acting as if it were not would be silent.
    pub fn text(&self, name: &str) -> Result<Option<String>, Failure> {
        match self.set(name).map(|value| value.to_str()) {
            None => Ok(None),
            Some(Some(text)) => Ok(Some(text.to_owned())),
            Some(None) => Err(Failure::new(
                Kind::ConfigInvalid,
                format!("the environment variable {name} is not UTF-8 text"),
            )),
        }
    }

    /// A variable as a path; `None` if it is unset or empty.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.set(name).map(PathBuf::from)
    }

    /// The names of the variables that are set and not empty.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let set = self.0.iter().filter(|(_, value)| !value.is_empty());
        set.map(|(name, _)| name.as_str())
    }

    /// The same without one of them.
    pub fn without(&self, name: &str) -> Self {
        let mut rest = self.clone();
        rest.0.remove(name);
        rest
    }

    fn set(&self, name: &str) -> Option<&OsString> {
        self.0.get(name).filter(|value| !value.is_empty())
    }
}

impl<N: Into<String>, V: Into<OsString>> FromIterator<(N, V)> for Env {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let owned = variables.into_iter();
        Self(owned.map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn an_empty_variable_counts_as_unset() {
        let env = Env::from_iter([("A", ""), ("B", "b")]);
        assert_eq!(env.text("A").unwrap(), None);
        assert_eq!(env.path("A"), None);
        assert_eq!(env.text("B").unwrap().as_deref(), Some("b"));
        assert_eq!(env.text("C").unwrap(), None);
    }

    #[test]
    fn a_variable_that_is_not_text_is_refused_by_name() {
        let env = Env::from_iter([("PGPASSWORD", OsString::from_vec(vec![0xff, b'x']))]);
        let failure = env.text("PGPASSWORD").unwrap_err();
        assert_eq!(failure.kind, Kind::ConfigInvalid);
        assert!(failure.message.contains("PGPASSWORD"), "{failure}");
    }

    #[test]
    fn debug_shows_no_values() {
        let env = Env::from_iter([("PGPASSWORD", "hunter2")]);
        assert_eq!(format!("{env:?}"), r#"{"PGPASSWORD"}"#);
    }
}
