//! `taskmon init`: from a database to a configuration that works, with yesterday's figures as the proof.

use super::database::open_store;
use super::demo::{own_name, quoted};
use super::output::Done;
use super::stats::{self, Reports};
use super::{Session, working_dir};
use crate::cli::InitArgs;
use crate::config::{self, Config, Request};
use crate::detect::presets::{self, Fit};
use crate::folder::Folder;
use crate::mapping::preset;
use crate::outcome::{Failure, Kind, Outcome};
use crate::report::text;
use crate::store::catalogue::Catalogue;
use crate::store::open;
use crate::store::target::Target;
use crate::values::absolute;
use anyhow::{Context, Result};
use rustix::process::geteuid;
use serde_json::json;
use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// No look at the catalogue or at rows takes longer.
const LIMIT: Duration = Duration::from_secs(10);

/// What makes a folder that of an application: its configuration belongs there.
const APPLICATION_FILES: [&str; 9] = [
    "manage.py",
    "package.json",
    "Gemfile",
    "mix.exs",
    "composer.json",
    "Cargo.toml",
    "go.mod",
    "pyproject.toml",
    ".git",
];

/// The database, and how the configuration has it.
struct Database {
    target: Target,
    /// As an option of the command line has it.
    url: Option<String>,
    /// The variable that holds it, which the file then does not repeat.
    variable: Option<&'static str>,
}

/// Where the configuration goes.
struct Place {
    path: PathBuf,
    base_dir: Option<PathBuf>,
    /// Whether every run finds it there from the working directory, be it named or not.
    is_found: bool,
}

impl Session {
    pub(super) fn init(&self, arguments: &InitArgs) -> Result<Done> {
        if let Some(name) = &arguments.preset
            && preset::find(name).is_none()
        {
            let names: Vec<&str> = preset::names().collect();
            let failure = Failure::new(Kind::Usage, format!("--preset is {name:?}, which is none"));
            return Err(failure.hint(format!("the presets are {}", names.join(", "))).into());
        }
        let place = self.place()?;
        refuse_existing(&place.path, arguments)?;
        let database = self.database(arguments)?;
        let catalogue = open::catalogue(&database.target, LIMIT)?;
        let found = self.choose(arguments, &database, &place, &catalogue)?;
        let kept = write(&place, &found.text, arguments)?;
        let mut store = open_store(&found.config)?;
        let mut reports = Reports::unsaved(&found.config);
        let yesterday = stats::yesterday(&found.config, self.now);
        reports.make(self, store.as_mut(), &[yesterday])?;
        let proof = reports.days.first();
        let next = next_steps(&place);
        let document = json!({
            "success": true,
            "config_path": place.path,
            "kept_config": kept,
            "database": database.target.display(),
            "url_from": database.variable.map(|name| format!("${name}")),
            "preset": found.fit.preset,
            "table": found.fit.table,
            "mapping": null,
            "missing": found.fit.missing.iter().map(|field| field.name()).collect::<Vec<_>>(),
            "proof": proof,
            "next": next,
        });
        self.done(&document, Outcome::Done, || {
            let language = found.config.language;
            let mut page = format!(
                "{}{}\n{}{} ({})\n",
                language.pick("配置：", "configuration: "),
                place.path.display(),
                language.pick("预设：", "preset: "),
                found.fit.preset,
                found.fit.table,
            );
            if let Some(name) = database.variable {
                page += &language.pick(
                    format!("数据库地址取自 ${name}，文件里没有写；cron 不会传递这个变量\n"),
                    format!("the database comes from ${name}, and is not in the file; cron does not pass it on\n"),
                );
            }
            if let Some(report) = proof {
                page += &format!("\n{}", text::stats(report, language));
            }
            page += language.pick("\n接下来：\n", "\nNext:\n");
            for line in &next {
                page += &format!("  {line}\n");
            }
            page
        })
    }

    fn database(&self, arguments: &InitArgs) -> Result<Database> {
        let given = arguments.url.clone().or_else(|| self.common.database_url.clone());
        let variable = if given.is_some() {
            None
        } else {
            let mut names = ["TASKMON_DATABASE_URL", "DATABASE_URL"].into_iter();
            names.find(|name| self.env.path(name).is_some())
        };
        if given.is_none() && variable.is_none() {
            let failure =
                Failure::new(Kind::DatabaseNotConfigured, "init needs a database to look at");
            return Err(failure
                .hint("taskmon init postgresql://user@host/name, taskmon init sqlite:FILE, or set $DATABASE_URL")
                .into());
        }
        let request = Request { database_url_flag: given.clone(), ..self.request()? };
        let nowhere = working_dir()?.join("taskmon.toml");
        let config = config::resolve_text(request, nowhere, "")?;
        let target = config.database.target.context("the URL names no database")?;
        Ok(Database { target, url: given, variable })
    }

    fn request(&self) -> Result<Request> {
        Ok(Request {
            config_flag: None,
            database_url_flag: None,
            language_flag: self.common.lang,
            env: self.env.clone(),
            working_dir: working_dir()?,
        })
    }

    fn place(&self) -> Result<Place> {
        let folder = working_dir()?;
        let named = self.common.config.clone().filter(|path| !path.as_os_str().is_empty());
        if let Some(path) = named {
            return Ok(Place { path: absolute(&folder, &path), base_dir: None, is_found: false });
        }
        let place = |path: PathBuf, base_dir| Place { path, base_dir, is_found: true };
        if let Some(path) = self.env.path("TASKMON_CONFIG") {
            return Ok(place(absolute(&folder, &path), None));
        }
        let is_application = |folder: &Path| {
            APPLICATION_FILES.iter().any(|name| folder.join(name).symlink_metadata().is_ok())
        };
        if is_application(&folder) {
            return Ok(place(folder.join("taskmon.toml"), None));
        }
        if geteuid().is_root() {
            return Ok(place("/etc/taskmon/taskmon.toml".into(), Some("/var/lib/taskmon".into())));
        }
        let home = self.env.path("HOME");
        let of_user = |variable: &str, below: &str| {
            let set = self.env.path(variable).filter(|path| path.is_absolute());
            set.or_else(|| home.as_ref().map(|home| home.join(below)))
        };
        match (of_user("XDG_CONFIG_HOME", ".config"), of_user("XDG_STATE_HOME", ".local/state")) {
            (Some(config), Some(state)) => {
                Ok(place(config.join("taskmon/taskmon.toml"), Some(state.join("taskmon"))))
            }
            _ => Ok(place(folder.join("taskmon.toml"), None)),
        }
    }

    /// The preset to go by, with the configuration that names it, read as every run will read it.
    fn choose(
        &self,
        arguments: &InitArgs,
        database: &Database,
        place: &Place,
        catalogue: &Catalogue,
    ) -> Result<Found> {
        let is_wanted = |fit: &Fit| {
            arguments.preset.as_ref().is_none_or(|name| fit.preset == name)
                && arguments.table.as_ref().is_none_or(|name| fit.table == *name)
        };
        let mut found = Vec::new();
        for fit in presets::fits(catalogue).into_iter().filter(is_wanted) {
            let text = config_text(&fit, database, place)?;
            let config = self.read_back(&text, database, place)?;
            // The store has the last word on whether a mapping fits.
            match open_store(&config) {
                Ok(store) if store.missing().iter().all(|field| fit.missing.contains(field)) => {
                    found.push(Found { fit, text, config });
                }
                Ok(_) => {}
                Err(error) => {
                    let failure = Failure::of(&error);
                    if failure.kind != Kind::MappingMismatch {
                        return Err(error);
                    }
                    log::debug!("{}: {failure}", fit.preset);
                }
            }
        }
        match found.len() {
            0 => Err(unknown(arguments, catalogue).into()),
            1 => found.pop().context("a preset fits"),
            _ => self.choose_among(found),
        }
    }

    /// On a terminal, whoever sits there chooses.
    fn choose_among(&self, mut found: Vec<Found>) -> Result<Found> {
        let names: Vec<String> = found
            .iter()
            .map(|found| format!("{} ({})", found.fit.preset, found.fit.table))
            .collect();
        if io::stdin().is_terminal() && io::stderr().is_terminal() {
            let mut screen = io::stderr();
            for (number, name) in (1..).zip(&names) {
                writeln!(screen, "  {number}  {name}")?;
            }
            write!(screen, "{}", self.language().pick("用哪一个？", "Which one? "))?;
            screen.flush()?;
            let mut line = String::new();
            io::stdin().read_line(&mut line)?;
            let place = line.trim().parse::<usize>().ok().and_then(|number| number.checked_sub(1));
            if let Some(place) = place.filter(|place| *place < found.len()) {
                return Ok(found.swap_remove(place));
            }
        }
        let message = format!("several presets fit: {}", names.join(", "));
        let hint =
            "choose one with --preset NAME, or with --table TABLE where one preset fits twice";
        Err(Failure::new(Kind::Usage, message).hint(hint).into())
    }

    /// The configuration as a run will have it, before it is written.
    fn read_back(&self, text: &str, database: &Database, place: &Place) -> Result<Config> {
        let mut request = self.request()?;
        if database.variable.is_none() {
            for name in ["TASKMON_DATABASE_URL", "DATABASE_URL", "TASKMON_READ_DATABASE_URL"] {
                request.env = request.env.without(name);
            }
        }
        Ok(config::resolve_text(request, place.path.clone(), text)?)
    }
}

/// What a configuration can be written from.
struct Found {
    fit: Fit,
    text: String,
    config: Config,
}

fn unknown(arguments: &InitArgs, catalogue: &Catalogue) -> Failure {
    let names: Vec<&str> =
        catalogue.tables.iter().take(20).map(|table| table.expression.as_str()).collect();
    let message = match (&arguments.preset, names.is_empty()) {
        (_, true) => "the database has no table that this user may look into".to_owned(),
        (Some(name), _) => {
            format!("the preset {name:?} does not fit the tables: {}", names.join(", "))
        }
        (None, _) => format!("no preset fits the tables: {}", names.join(", ")),
    };
    Failure::new(Kind::MappingMismatch, message)
        .hint("describe the table of the jobs in [database.tasks]: see `taskmon help mapping`")
}

fn refuse_existing(path: &Path, arguments: &InitArgs) -> Result<()> {
    if arguments.force || path.symlink_metadata().is_err() {
        return Ok(());
    }
    let message = format!("there is a configuration already: {}", path.display());
    Err(Failure::new(Kind::Usage, message)
        .hint("`taskmon init --force` replaces it and keeps a copy beside it; --config FILE writes another")
        .into())
}

/// The file: short, since what it does not say has a default.
fn config_text(fit: &Fit, database: &Database, place: &Place) -> Result<String> {
    let mut text = format!(
        "# taskmon: {}, preset {}. Every key with its default: taskmon config --default\n\n",
        database.target.display().replace(['\n', '\r'], " "),
        fit.preset
    );
    if let Some(folder) = &place.base_dir {
        text += "# Reports, logs and records are kept here, and the rows' relative file paths start here.\n";
        text += &entry("base_dir", &folder.display().to_string());
        text.push('\n');
    }
    text += "[database]\n";
    match (database.variable, &database.target) {
        (Some(name), _) => {
            text += &format!(
                "# The URL comes from ${name}. cron does not pass it on: set `url`, or the variable in the crontab.\n"
            );
        }
        (None, target) if target.is_sqlite() => text += &entry("url", &target.display()),
        (None, _) => {
            text += &entry("url", database.url.as_deref().unwrap_or_default().trim());
        }
    }
    text += &entry("preset", fit.preset);
    if !fit.overrides.is_empty() {
        text += "\n# What is different here from the preset.\n";
        let sections =
            toml::Table::from_iter([("database".to_owned(), fit.overrides.clone().into())]);
        text += &toml::to_string(&sections).context("the configuration cannot be written")?;
    }
    Ok(text)
}

fn entry(key: &str, value: &str) -> String {
    format!("{key} = {}\n", toml::Value::from(value))
}

/// Writes the file for its user alone; the copy of the one that was there, if there was one.
fn write(place: &Place, text: &str, arguments: &InitArgs) -> Result<Option<PathBuf>> {
    let path = &place.path;
    let not_written = |error: io::Error| {
        Failure::new(Kind::OutputFailed, format!("{} cannot be written: {error}", path.display()))
    };
    Folder::make(path.parent().unwrap_or(path)).map_err(not_written)?;
    if let Some(folder) = &place.base_dir {
        Folder::make(folder).map_err(|error| {
            let message = format!("the folder {} cannot be made: {error}", folder.display());
            Failure::new(Kind::OutputFailed, message)
        })?;
    }
    let kept = if arguments.force { keep(path).map_err(not_written)? } else { None };
    let create = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = create.map_err(not_written)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(not_written)?;
    Ok(kept)
}

/// Moves a file aside, to the first of `.bak`, `.bak.2` … that is free.
fn keep(path: &Path) -> io::Result<Option<PathBuf>> {
    if path.symlink_metadata().is_err() {
        return Ok(None);
    }
    for number in 1..1000 {
        let end = if number == 1 { ".bak".to_owned() } else { format!(".bak.{number}") };
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        let copy = PathBuf::from(name);
        // Unlike a rename, a link takes nothing's place.
        match std::fs::hard_link(path, &copy) {
            Ok(()) => return std::fs::remove_file(path).map(|()| Some(copy)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("there are too many copies of it"))
}

/// The commands to go on with, as they can be pasted into a shell.
fn next_steps(place: &Place) -> [String; 3] {
    let taskmon = own_name();
    let config = if place.is_found {
        String::new()
    } else {
        format!(" --config {}", quoted(&place.path.display().to_string()))
    };
    ["check --output text", "cleanup --dry-run --output text", "schedule install"]
        .map(|command| format!("{taskmon}{config} {command}"))
}
