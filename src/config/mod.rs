//! The configuration in force: one function, [`resolve`], knows which source beats which.

mod channels;
pub mod env;
pub mod file;
pub mod nearest;
mod provenance;
mod reader;
mod zone;

pub use env::Env;
pub use zone::of_the_host;

use crate::files::{Access, open_named, open_regular, read_given, read_whole};
use crate::language::Language;
use crate::mapping::preset;
use crate::outcome::{Failure, Kind};
use crate::secret::{MASK, Secret, masked_url};
use crate::store::StoreSettings;
use crate::store::target::{Target, UrlContext};
use crate::timezone::Tz;
use crate::values::absolute;
use file::{File, Given};
use rustix::process::geteuid;
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use std::io;
use std::ops::Deref;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What a configuration is resolved from, besides the file.
#[derive(Debug, Clone)]
pub struct Request {
    /// `--config`
    pub config_flag: Option<PathBuf>,
    /// `--database-url`
    pub database_url_flag: Option<String>,
    /// `--lang`
    pub language_flag: Option<Language>,
    pub env: Env,
    /// Absolute.
    pub working_dir: PathBuf,
}

/// Everything that a run goes by, resolved once and read-only from then on. Paths are absolute.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file that was read; `None`: none was found, these are the defaults.
    pub file: Option<PathBuf>,
    /// The file laid over the defaults, its paths absolute. Its sections are read as the configuration's own, through [`Deref`].
    pub values: File,
    /// Days and hours are counted in this zone.
    pub timezone: Tz,
    pub language: Language,
    pub database: Database,
    /// What a person should know although it stops nothing: one sentence each, for the log.
    pub warnings: Vec<String>,
    /// Where what may come from several places comes from.
    sources: Sources,
    /// What it was resolved from.
    given: Given,
    request: Request,
}

impl Deref for Config {
    type Target = File;

    fn deref(&self) -> &File {
        &self.values
    }
}

/// Where the tasks are, and how they are read.
#[derive(Debug, Clone)]
pub struct Database {
    /// `None`: no database is configured.
    pub target: Option<Target>,
    /// Where `stats` reads from if not from `target`: a hot standby.
    pub read_target: Option<Target>,
    /// Why nothing may be deleted by this mapping, as a sentence about a key; `None`: it may.
    pub undeletable: Option<String>,
    pub store: StoreSettings,
}

#[derive(Debug, Clone)]
struct Sources {
    database_url: Option<Url>,
    read_url: Option<Url>,
    timezone: String,
    language: String,
}

/// The configuration in force. A flag beats the environment, the environment beats the file, the file beats the defaults.
///
/// The file is the first that there is of `--config`, `$TASKMON_CONFIG`, `./taskmon.toml`,
/// `$XDG_CONFIG_HOME/taskmon/taskmon.toml` (`~/.config/…`) and `/etc/taskmon/taskmon.toml`. An empty variable counts as unset. A working directory that
/// the user may not enter has no file.
///
/// # Errors
/// [`Kind::ConfigUnreadable`] if a file that is named, or one that is there, cannot be read; [`Kind::ConfigInvalid`] if what it
/// or a variable says is not valid; [`Kind::Usage`] if a flag is not.
pub fn resolve(request: Request) -> Result<Config, Failure> {
    match find_file(&request)? {
        Some((path, bytes)) => {
            let text = file::decode(bytes, &path.display().to_string())?;
            resolve_text(request, path, &text)
        }
        None => place(None, file::defaults()?, request),
    }
}

/// What the text of a file would make of the configuration, be the file there or not.
///
/// # Errors
/// As [`resolve`].
pub fn resolve_text(request: Request, path: PathBuf, text: &str) -> Result<Config, Failure> {
    let read = file::read(text, &path.display().to_string())?;
    place(Some(path), read, request)
}

/// Lets the paths of a file start at its folder.
fn place(
    path: Option<PathBuf>,
    (mut values, given): (File, Given),
    request: Request,
) -> Result<Config, Failure> {
    // A pipe (`/dev/fd/63`) is in no folder of anybody's; a file that is not there yet will be in its own.
    let has_folder = |path: &&Path| path.is_file() || !path.exists();
    let folder = path.as_deref().filter(has_folder).and_then(Path::parent);
    values.make_absolute(folder.unwrap_or(&request.working_dir));
    combine(path, values, given, request)
}

/// The values of a file, with what flags and the environment say.
fn combine(
    path: Option<PathBuf>,
    mut values: File,
    given: Given,
    request: Request,
) -> Result<Config, Failure> {
    let mut warnings = Vec::new();
    let (timezone, timezone_source) = timezone(&values, &given, &request.env, &mut warnings)?;
    let (language, language_source) = language(&request, &values, &given)?;
    let urls = Urls { request: &request, values: &values, given: &given };
    let url = urls.database()?;
    let read_url = urls.read()?;
    let target = url.as_ref().map(|url| urls.target(url)).transpose()?;
    let read_target = read_url.as_ref().map(|url| urls.target(url)).transpose()?;
    let name = values.name.clone().or_else(|| target.as_ref().and_then(Target::name));
    for warning in target.iter().chain(&read_target).flat_map(Target::warnings) {
        // Both databases may have the same password file.
        if !warnings.contains(warning) {
            warnings.push(warning.clone());
        }
    }
    if target.iter().chain(&read_target).any(Target::is_sqlite) {
        require_sqlite(&values, &given)?;
    }
    let database = Database {
        undeletable: undeletable(&given),
        store: StoreSettings {
            mapping: values
                .database
                .mapping(target.as_ref())
                .map_err(|invalid| given.invalid("database", invalid))?,
            naive_zone: naive_zone(&values, &given, timezone)?,
            connect_timeout: values.database.connect_timeout(),
            statement_timeout: values.database.statement_timeout(),
            row_security: values.database.row_security,
            earliest_year: values.database.earliest_year,
        },
        target,
        read_target,
    };
    warnings.extend(mixed_databases(url.as_ref(), read_url.as_ref()));
    let sources = Sources {
        database_url: url,
        read_url,
        timezone: timezone_source,
        language: language_source,
    };
    values.name = name;
    Ok(Config {
        file: path,
        timezone,
        language,
        database,
        values,
        warnings,
        sources,
        given,
        request,
    })
}

/// The file to read and its content; `None`: there is none.
fn find_file(request: &Request) -> Result<Option<(PathBuf, Vec<u8>)>, Failure> {
    let named = match &request.config_flag {
        Some(path) if path.as_os_str().is_empty() => {
            return Err(Failure::new(Kind::Usage, "--config names no file: it is empty"));
        }
        Some(path) => Some((path.clone(), "--config")),
        None => request.env.path("TASKMON_CONFIG").map(|path| (path, "$TASKMON_CONFIG")),
    };
    if let Some((path, source)) = named {
        let path = absolute(&request.working_dir, &path);
        return match read_given(&path) {
            Ok(bytes) => Ok(Some((path, bytes))),
            Err(error) => Err(unreadable(&path, Some(source), &error)),
        };
    }
    for path in usual_files(request) {
        match open_found(&path) {
            Ok(file) => {
                refuse_anothers(&path, &file)?;
                let bytes = read_whole(file).map_err(|error| unreadable(&path, None, &error))?;
                return Ok(Some((path, bytes)));
            }
            Err(error) if is_absent(&error) => {}
            // `sudo -u taskmon` in root's home: what may lie in a folder that the user cannot enter is not meant for them.
            Err(_) if path.starts_with(&request.working_dir) && is_closed(&request.working_dir) => {
            }
            // To go on would mean to run with another configuration than the one that lies there.
            Err(error) => return Err(unreadable(&path, None, &error)),
        }
    }
    Ok(None)
}

/// The file that a run would go by, be it readable or not; `None`: there is none.
pub fn file_of(request: &Request) -> Option<PathBuf> {
    let variable = || request.env.path("TASKMON_CONFIG");
    match request.config_flag.clone().or_else(variable) {
        Some(named) => Some(absolute(&request.working_dir, &named)),
        None => usual_files(request).into_iter().find(|path| path.symlink_metadata().is_ok()),
    }
}

fn open_found(path: &Path) -> io::Result<std::fs::File> {
    if geteuid().is_root() { open_regular(path, Access::Read) } else { open_named(path) }
}

/// Root goes by no file that another user may have put where it looks for one: it says what is deleted, and which programs are run.
fn refuse_anothers(path: &Path, file: &std::fs::File) -> Result<(), Failure> {
    let owner = file.metadata().map_err(|error| unreadable(path, None, &error))?.uid();
    if owner == 0 || !geteuid().is_root() {
        return Ok(());
    }
    let path = path.display();
    let message = format!(
        "root does not go by the configuration file {path}, which was found and not named: it belongs to user {owner}"
    );
    Err(Failure::new(Kind::ConfigUnreadable, message).hint(format!(
        "run taskmon as that user, name the file with `--config {path}` or $TASKMON_CONFIG if it is meant, or make it root's: chown root {path}"
    )))
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn is_closed(folder: &Path) -> bool {
    let inside = folder.join(".").metadata();
    inside.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

fn unreadable(path: &Path, source: Option<&str>, error: &io::Error) -> Failure {
    let named = source.map_or(String::new(), |source| format!(" that {source} names"));
    let message = format!("cannot read the configuration file {}{named}: {error}", path.display());
    Failure::new(Kind::ConfigUnreadable, message).hint(match source {
        Some(_) if is_absent(error) => "`taskmon config --default` prints a file to start from.",
        Some(_) => "Check the file's and its folders' permissions.",
        None => "Check the permissions, or name another file with --config or $TASKMON_CONFIG.",
    })
}

/// Where a file is looked for if none is named.
fn usual_files(request: &Request) -> Vec<PathBuf> {
    let home = request.env.path("HOME").map(|home| home.join(".config"));
    // The XDG specification has a relative path ignored.
    let xdg = request.env.path("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
    let user = xdg.or(home).map(|folder| folder.join("taskmon/taskmon.toml"));
    let local = absolute(&request.working_dir, Path::new("taskmon.toml"));
    let system = PathBuf::from("/etc/taskmon/taskmon.toml");
    [Some(local), user, Some(system)].into_iter().flatten().collect()
}

fn timezone(
    values: &File,
    given: &Given,
    env: &Env,
    warnings: &mut Vec<String>,
) -> Result<(Tz, String), Failure> {
    let Some(name) = &values.timezone else {
        let found = zone::of_the_system(env)?;
        warnings.extend(found.warning);
        return Ok((found.zone, found.source));
    };
    match zone::named(name) {
        Ok(zone) => Ok((zone, given.place("timezone"))),
        Err(message) => {
            let failure = given.failure("timezone", &message);
            Err(failure.hint("Without this key, the system's time zone holds."))
        }
    }
}

/// The zone of timestamps that have none, from the tasks' own key or the database's.
fn naive_zone(values: &File, given: &Given, local: Tz) -> Result<Tz, Failure> {
    let (key, name) = match &values.database.tasks.naive_timestamps {
        None => ("database.naive_timestamps", &values.database.naive_timestamps),
        Some(name) => ("database.tasks.naive_timestamps", name),
    };
    match name.as_str() {
        "local" => Ok(local),
        "utc" => Ok(Tz::UTC),
        name => zone::named(name).map_err(|message| {
            let failure = given.failure(key, &message);
            failure.hint("\"local\" is the zone of `timezone`, \"utc\" is UTC.")
        }),
    }
}

/// The language of `--lang`, else the file's, else the one of the locale.
fn language(
    request: &Request,
    values: &File,
    given: &Given,
) -> Result<(Language, String), Failure> {
    if let Some(language) = request.language_flag {
        return Ok((language, "--lang".to_owned()));
    }
    if let Some(language) = values.language {
        return Ok((language, given.place("language")));
    }
    let locale = language_of_locale(&request.env)?;
    Ok(locale.unwrap_or_else(|| (Language::En, "the default".to_owned())))
}

/// The language that the locale's variables name, and the variable: `LC_ALL` beats `LC_MESSAGES` beats `LANG`.
pub fn language_of_locale(env: &Env) -> Result<Option<(Language, String)>, Failure> {
    for name in ["LC_ALL", "LC_MESSAGES", "LANG"] {
        if let Some(locale) = env.text(name)? {
            let chinese = locale.to_lowercase().starts_with("zh");
            let language = if chinese { Language::Zh } else { Language::En };
            return Ok(Some((language, format!("${name}"))));
        }
    }
    Ok(None)
}

/// That the preset has a form for SQLite, or its tables are not those that are read.
fn require_sqlite(values: &File, given: &Given) -> Result<(), Failure> {
    let name = &values.database.preset;
    if !preset::is_postgres_only(name) || given.has("database.tasks.from") {
        return Ok(());
    }
    let message =
        format!("is {name:?}, whose tables are in PostgreSQL alone, and the database is SQLite");
    let others: Vec<String> = preset::names()
        .filter(|name| !preset::is_postgres_only(name))
        .map(|name| format!("{name:?}"))
        .collect();
    let hint = format!("Presets for SQLite: {}. Or name a PostgreSQL database.", others.join(", "));
    Err(given.failure("database.preset", &message).hint(hint))
}

/// Rows that are read from a table of one's own must not be deleted from the preset's.
fn undeletable(given: &Given) -> Option<String> {
    let is_open = given.has("database.tasks.from") && !given.has("database.tasks.delete_from");
    is_open.then(|| {
        format!(
            "{}: `database.tasks.from` is set and `database.tasks.delete_from` is not, so it is not known what to delete from",
            given.place("database.tasks.from")
        )
    })
}

/// A database URL and where it comes from.
#[derive(Debug, Clone)]
struct Url {
    text: Secret,
    /// As messages call it: "--database-url", "$DATABASE_URL", "/etc/taskmon/taskmon.toml, line 7".
    source: String,
    origin: Origin,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Origin {
    Flag,
    Environment,
    File,
}

/// Finds the database URLs.
struct Urls<'a> {
    request: &'a Request,
    values: &'a File,
    given: &'a Given,
}

impl Urls<'_> {
    fn database(&self) -> Result<Option<Url>, Failure> {
        if let Some(text) = &self.request.database_url_flag {
            return self.flag_url(text).map(Some);
        }
        for name in ["TASKMON_DATABASE_URL", "DATABASE_URL"] {
            if let Some(url) = self.env_url(name)? {
                return Ok(Some(url));
            }
        }
        Ok(self.file_url("database.url", self.values.database.url.as_ref()))
    }

    /// With `--database-url`, everything is read from there.
    fn read(&self) -> Result<Option<Url>, Failure> {
        if self.request.database_url_flag.is_some() {
            return Ok(None);
        }
        let url = self.env_url("TASKMON_READ_DATABASE_URL")?;
        Ok(url
            .or_else(|| self.file_url("database.read_url", self.values.database.read_url.as_ref())))
    }

    fn flag_url(&self, text: &str) -> Result<Url, Failure> {
        if text.is_empty() {
            // A script's lost variable must not lead to another database.
            return Err(Failure::new(Kind::Usage, "--database-url names no database: it is empty"));
        }
        Ok(Url {
            text: Secret::new(text),
            source: "--database-url".to_owned(),
            origin: Origin::Flag,
        })
    }

    fn env_url(&self, name: &str) -> Result<Option<Url>, Failure> {
        let text = self.request.env.text(name)?;
        Ok(text.map(|text| Url {
            text: Secret::new(text),
            source: format!("${name}"),
            origin: Origin::Environment,
        }))
    }

    fn file_url(&self, key: &str, url: Option<&Secret>) -> Option<Url> {
        url.map(|url| Url {
            text: url.clone(),
            source: format!("{}: `{key}`", self.given.place(key)),
            origin: Origin::File,
        })
    }

    /// What the URL says. Relative paths in it start where whoever wrote it is: at `base_dir` in the file, else
    /// at the working directory.
    fn target(&self, url: &Url) -> Result<Target, Failure> {
        let unreadable = RefCell::new(None);
        let env = |name: &str| match self.request.env.text(name) {
            Ok(value) => value,
            Err(failure) => {
                unreadable.replace(Some(failure));
                None
            }
        };
        let base_dir = match url.origin {
            Origin::File => &self.values.base_dir,
            Origin::Flag | Origin::Environment => &self.request.working_dir,
        };
        let target = Target::parse(
            url.text.expose(),
            &UrlContext {
                env: &env,
                base_dir,
                connect_timeout: self.values.database.connect_timeout(),
            },
        );
        if let Some(failure) = unreadable.take() {
            return Err(failure);
        }
        target.map_err(|message| {
            let kind = match url.origin {
                Origin::Flag => Kind::Usage,
                Origin::Environment | Origin::File => Kind::ConfigInvalid,
            };
            // The parser takes care not to quote a password; this holds even if it forgets.
            let message = message.replace(url.text.expose(), &masked_url(url.text.expose()));
            Failure::new(kind, format!("{}: {message}", url.source))
        })
    }
}

/// A standby of the file beside a database from the environment may well be the standby of another.
fn mixed_databases(url: Option<&Url>, read_url: Option<&Url>) -> Option<String> {
    let (url, read_url) = (url?, read_url?);
    let mixed = url.origin == Origin::Environment && read_url.origin == Origin::File;
    mixed.then(|| {
        format!(
            "The database comes from {}, but `stats` reads from {}; set $TASKMON_READ_DATABASE_URL if that is another database.",
            url.source, read_url.source
        )
    })
}

/// The system's time zone, for what has to be said before a configuration is read; UTC where nobody knows it.
pub fn system_zone(env: &Env) -> Tz {
    zone::of_the_system(env).map_or(Tz::UTC, |found| found.zone)
}

impl Config {
    /// Whether the file holds a password or another secret, rather than the name of a variable or file that does.
    pub fn holds_secret(&self) -> bool {
        serde_json::to_string(&self.values).is_ok_and(|shown| shown.contains(MASK))
    }

    /// What would be in force without a variable of the environment.
    ///
    /// # Errors
    /// The configuration is not valid without it.
    pub fn without_variable(&self, name: &str) -> Result<Config, Failure> {
        let request = Request { env: self.request.env.without(name), ..self.request.clone() };
        combine(self.file.clone(), self.values.clone(), self.given.clone(), request)
    }

    /// The whole effective configuration, as `taskmon config` prints it: every key with its value, secrets masked; `file` is what
    /// was read, `sources` says where those values come from that have several sources.
    ///
    /// # Errors
    /// None that a configuration can cause.
    pub fn effective(&self) -> anyhow::Result<Value> {
        let shown = |url: &Option<Url>| url.as_ref().map(|url| url.text.clone());
        let source = |url: &Option<Url>| url.as_ref().map(|url| url.source.clone());
        let mut values = self.values.clone();
        values.timezone = Some(self.timezone.name().to_owned());
        values.language = Some(self.language);
        values.database.url = shown(&self.sources.database_url);
        values.database.read_url = shown(&self.sources.read_url);
        let file = self.file.as_ref().map(|path| path.display().to_string());
        let mut document = Map::from_iter([("file".to_owned(), json!(file))]);
        if let Value::Object(values) = serde_json::to_value(values)? {
            document.extend(values);
        }
        let sources = json!({
            "timezone": self.sources.timezone,
            "language": self.sources.language,
            "database.url": source(&self.sources.database_url),
            "database.read_url": source(&self.sources.read_url),
        });
        document.insert("sources".to_owned(), sources);
        Ok(Value::Object(document))
    }
}

#[cfg(test)]
mod tests;
