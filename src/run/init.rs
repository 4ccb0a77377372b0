//! `taskmon init`: from a database to a configuration that works, with yesterday's figures as the proof.

use super::database::open_store;
use super::demo::{own_name, quoted};
use super::output::Done;
use super::stats::{self, Reports};
use super::{Session, working_dir};
use crate::cli::InitArgs;
use crate::config::{self, Config, Request};
use crate::detect::guess::{self, ENOUGH, Guess};
use crate::detect::presets::{self, Fit};
use crate::files::{self, OWNER_MAY_READ};
use crate::folder::Folder;
use crate::language::Language;
use crate::mapping::{Field, State, preset};
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

/// Tables whose scores differ by less are all possible.
const CLOSE: f64 = 1.0;

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
            "preset": found.source.preset(),
            "table": found.source.table(),
            "mapping": found.source.mapping(),
            "missing": found.source.missing(),
            "proof": proof,
            "next": next,
        });
        self.done(&document, Outcome::Done, || {
            let language = found.config.language;
            let mut page = format!(
                "{}{}\n{}",
                language.pick("配置：", "configuration: "),
                place.path.display(),
                found.source.describe(language),
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
            found.extend(self.tried(Source::Preset(fit), database, place)?);
        }
        if found.is_empty() && arguments.preset.is_none() {
            found = self.guess(arguments, database, place, catalogue)?;
        }
        match found.len() {
            0 => Err(unknown(arguments, catalogue).into()),
            1 => found.pop().context("a mapping fits"),
            _ => self.choose_among(found),
        }
    }

    /// The store has the last word on whether a mapping fits.
    fn tried(&self, source: Source, database: &Database, place: &Place) -> Result<Option<Found>> {
        let text = config_text(&source, database, place)?;
        let config = self.read_back(&text, database, place)?;
        match open_store(&config) {
            Ok(store) => {
                let expected = source.missing();
                let is_expected = |field: &Field| expected.contains(&field.name());
                let fits = store.missing().iter().all(is_expected);
                Ok(fits.then_some(Found { source, text, config }))
            }
            Err(error) => {
                let failure = Failure::of(&error);
                if failure.kind != Kind::MappingMismatch {
                    return Err(error);
                }
                log::debug!("{}: {failure}", source.table());
                Ok(None)
            }
        }
    }

    /// The tables that look most like tables of jobs.
    fn guess(
        &self,
        arguments: &InitArgs,
        database: &Database,
        place: &Place,
        catalogue: &Catalogue,
    ) -> Result<Vec<Found>> {
        let wanted = arguments.table.as_ref();
        let tables: Vec<_> = match wanted {
            Some(name) => {
                let tables = catalogue.tables.iter();
                tables.filter(|table| table.expression == *name || table.name == *name).collect()
            }
            None => guess::candidates(catalogue),
        };
        let samples = open::samples(&database.target, LIMIT, &tables)?;
        let language = self.language();
        let guesses = tables
            .iter()
            .zip(&samples)
            .filter_map(|(table, sample)| guess::guess(table, sample, catalogue.dialect, language));
        let guesses: Vec<Guess> =
            guesses.filter(|guess| wanted.is_some() || guess.score >= ENOUGH).collect();
        let best = guesses.iter().map(|guess| guess.score).fold(0.0, f64::max);
        let mut found = Vec::new();
        for guess in guesses.into_iter().filter(|guess| guess.score > best - CLOSE) {
            found.extend(self.tried(Source::Guess(Box::new(guess)), database, place)?);
        }
        Ok(found)
    }

    /// On a terminal, whoever sits there chooses.
    fn choose_among(&self, mut found: Vec<Found>) -> Result<Found> {
        let names: Vec<String> = found.iter().map(|found| found.source.name()).collect();
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
        let message = format!("several mappings fit: {}", names.join(", "));
        let hint = "choose one with --preset NAME, or with --table TABLE";
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
    source: Source,
    text: String,
    config: Config,
}

/// Where a mapping comes from.
enum Source {
    Preset(Fit),
    Guess(Box<Guess>),
}

impl Source {
    fn preset(&self) -> Option<&'static str> {
        match self {
            Source::Preset(fit) => Some(fit.preset),
            Source::Guess(_) => None,
        }
    }

    fn table(&self) -> &str {
        match self {
            Source::Preset(fit) => &fit.table,
            Source::Guess(guess) => &guess.table,
        }
    }

    fn mapping(&self) -> Option<&Guess> {
        match self {
            Source::Preset(_) => None,
            Source::Guess(guess) => Some(guess),
        }
    }

    fn missing(&self) -> Vec<&'static str> {
        match self {
            Source::Preset(fit) => fit.missing.iter().map(|field| field.name()).collect(),
            Source::Guess(_) => Vec::new(),
        }
    }

    /// In a list to choose from.
    fn name(&self) -> String {
        match self {
            Source::Preset(fit) => format!("{} ({})", fit.preset, fit.table),
            Source::Guess(guess) => guess.table.clone(),
        }
    }

    fn describe(&self, language: Language) -> String {
        let guess = match self {
            Source::Preset(_) => {
                return format!("{}{}\n", language.pick("预设：", "preset: "), self.name());
            }
            Source::Guess(guess) => guess,
        };
        let mut page =
            format!("{}{}\n", language.pick("猜测的表：", "guessed table: "), guess.table);
        for field in &guess.fields {
            page += &format!(
                "  {} = {}  ({:.0} %: {})\n",
                field.field,
                field.expression,
                field.confidence * 100.0,
                field.reason
            );
        }
        page += language.pick(
            "不会删除任何行：请核对后再填 delete_from\n",
            "no row will be deleted: fill in delete_from once you have checked the mapping\n",
        );
        page
    }
}

/// A guess as sections of a configuration.
fn guessed_sections(guess: &Guess) -> String {
    let list = |entries: &[String]| {
        toml::Value::Array(entries.iter().map(|entry| entry.as_str().into()).collect())
    };
    let mut text =
        "\n# Guessed from names, types and rows: please check it.\n[database.tasks]\n".to_owned();
    text += &entry("from", &guess.table);
    text += "# Nothing is deleted until this names the table.\n";
    text += &entry("delete_from", "");
    text += &format!("key = {}\n", list(&guess.key));
    text += &entry("label", guess.key.first().map_or("", String::as_str));
    for field in Field::ALL {
        if [Field::Label, Field::WaitTime].contains(&field) {
            continue;
        }
        let guessed = guess.fields.iter().find(|guessed| guessed.field == field.name());
        if let Some(guessed) = guessed {
            text += &format!("# {:.0} %: {}\n", guessed.confidence * 100.0, guessed.reason);
        }
        text += &entry(field.name(), guessed.map_or("", |guessed| &guessed.expression));
    }
    text += "files = []\nlink = \"\"\n\n[database.tasks.states]\n";
    let labels = |wanted: Option<State>| -> Vec<String> {
        let labels = guess.labels.iter().filter(|label| label.state == wanted);
        labels.map(|label| label.label.clone()).collect()
    };
    let unknown = labels(None);
    if !unknown.is_empty() {
        text += &format!(
            "# What do these mean? {}\n",
            list(&unknown).to_string().replace(['\n', '\r'], " ")
        );
    }
    for state in State::ALL.into_iter().filter(|state| *state != State::Other) {
        text += &format!("{state} = {}\n", list(&labels(Some(state))));
    }
    text + "\n[database.receipts]\nenabled = false\n"
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
fn config_text(source: &Source, database: &Database, place: &Place) -> Result<String> {
    let mut text = format!(
        "# taskmon: {}, {}. Every key with its default: taskmon config --default\n\n",
        database.target.display().replace(['\n', '\r'], " "),
        source.name().replace(['\n', '\r'], " ")
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
    match source {
        Source::Preset(fit) => {
            text += &entry("preset", fit.preset);
            if !fit.overrides.is_empty() {
                text += "\n# What is different here from the preset.\n";
                let database = ("database".to_owned(), fit.overrides.clone().into());
                text += &toml::to_string(&toml::Table::from_iter([database]))
                    .context("the configuration cannot be written")?;
            }
        }
        Source::Guess(guess) => text += &guessed_sections(guess),
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
    if arguments.force
        && let Some(kept) = keep(path).map_err(not_written)?
    {
        // The old file stays in its place until the new one is whole.
        files::replace(path, text, OWNER_MAY_READ).map_err(not_written)?;
        return Ok(Some(kept));
    }
    let create = OpenOptions::new().write(true).create_new(true).mode(OWNER_MAY_READ).open(path);
    let mut file = create.map_err(not_written)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(not_written)?;
    Ok(None)
}

/// Keeps a file under a second name, the first of `.bak`, `.bak.2` … that is free.
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
            Ok(()) => return Ok(Some(copy)),
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
