//! What a command line starts: taskmon, behind what the shell and other programs put before it. What is not sure is not guessed.

use std::iter::Peekable;
use std::path::PathBuf;
use std::str::Chars;

/// A start of taskmon.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Start {
    /// As the line has it: a path, or a name that PATH leads to.
    pub program: String,
    /// Its arguments.
    pub words: Vec<String>,
    /// What the line sets for it; the last of a name holds.
    pub variables: Vec<(String, String)>,
    /// Where `cd` has gone, perhaps from the home folder; `None`: nowhere.
    pub folder: Option<PathBuf>,
    /// What `nice` adds.
    pub niceness: u8,
}

/// Why it is not known what a line starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unclear {
    /// A quote is open, or something is in it that is not read here, such as `<<`.
    Shell,
    /// A shell computes the arguments, the folder or a variable.
    Expands,
    /// taskmon is behind something that is not known here, such as a script.
    Behind,
    /// Its times are not those of every cron.
    Times,
    /// taskmon would refuse the arguments: why.
    Refused(String),
}

/// All starts of taskmon in a line for `sh`.
///
/// # Errors
/// taskmon is named, and how it is started is not clear.
pub fn starts(line: &str) -> Result<Vec<Start>, Unclear> {
    let mut reading = Reading::default();
    let read = reading.script(line);
    if reading.found.is_empty() && (reading.is_behind || names_a_job(line)) {
        return read.and(Err(Unclear::Behind));
    }
    match read {
        Err(_) if !names_a_job(line) => Ok(Vec::new()),
        read => read.map(|()| reading.found),
    }
}

/// Whether a line has the word `taskmon` and a job's behind it, whatever is between and around them.
fn names_a_job(line: &str) -> bool {
    let is_inside = |letter: char| letter.is_alphanumeric() || "_-.".contains(letter);
    let mut words = line.split(|letter| !is_inside(letter)).skip_while(|word| *word != "taskmon");
    words.any(|word| ["cleanup", "stats", "disk", "alert"].contains(&word))
}

/// A word of a command; it is not exact where a shell would put something else in its place.
#[derive(Debug, Clone, Default)]
struct Word {
    text: String,
    is_computed: bool,
}

/// What holds for a command.
#[derive(Clone, Default)]
struct Surroundings {
    start: Start,
    /// Some of it is computed.
    is_computed: bool,
}

#[derive(Default)]
struct Reading {
    found: Vec<Start>,
    /// Those of the next command.
    surroundings: Surroundings,
    /// A program was started that is called after taskmon.
    is_behind: bool,
}

impl Reading {
    fn script(&mut self, line: &str) -> Result<(), Unclear> {
        let commands = Splitter::new(line).split().ok_or(Unclear::Shell)?;
        commands.iter().try_for_each(|words| self.command(words))
    }

    fn command(&mut self, words: &[Word]) -> Result<(), Unclear> {
        let Surroundings { mut start, mut is_computed } = self.surroundings.clone();
        let mut rest = words;
        while let Some((first, after)) = rest.split_first() {
            if let Some(variable) = assignment(first) {
                start.variables.push(variable);
                is_computed |= first.is_computed;
                rest = after;
                continue;
            }
            let name = first.text.rsplit('/').next().unwrap_or_default();
            rest = match name {
                "if" | "then" | "else" | "do" | "while" | "until" | "{" | "!" | "time" | "exec"
                | "nohup" | "setsid" | "command" | "chronic" => after,
                "nice" => {
                    let (options, rest) = split_options(after, &["-n", "--adjustment"]);
                    start.niceness = niceness(options);
                    rest
                }
                "ionice" => split_options(after, &["-c", "-n", "--class", "--classdata"]).1,
                "env" => split_options(after, &["-u", "--unset"]).1,
                "timeout" => {
                    let valued = ["-k", "-s", "--kill-after", "--signal"];
                    let (_, rest) = split_options(after, &valued);
                    rest.get(1..).unwrap_or_default()
                }
                "flock" => {
                    let valued = ["-w", "-E", "--wait", "--timeout", "--conflict-exit-code"];
                    let (_, rest) = split_options(after, &valued);
                    match rest.get(1..).unwrap_or_default() {
                        [option, script, ..] if ["-c", "--command"].contains(&&*option.text) => {
                            return self.inner(Surroundings { start, is_computed }, &script.text);
                        }
                        rest => rest,
                    }
                }
                "sh" | "bash" | "dash" | "ash" | "ksh" | "zsh" => {
                    let is_flag =
                        |word: &Word| word.text.starts_with('-') && !word.text.starts_with("--");
                    let flags = after.iter().take_while(|word| word.text.starts_with('-'));
                    let mut flags = flags.enumerate();
                    let at = flags.find(|(_, word)| is_flag(word) && word.text.contains('c'));
                    match at.and_then(|(at, _)| after.get(at + 1)) {
                        Some(script) => {
                            return self.inner(Surroundings { start, is_computed }, &script.text);
                        }
                        None => return self.other(after.iter().find(|word| !is_flag(word))),
                    }
                }
                "cd" => {
                    let folder = after.iter().find(|word| word.text != "--");
                    self.surroundings.is_computed |=
                        folder.is_some_and(|folder| folder.is_computed);
                    self.surroundings.start.folder =
                        folder.map(|folder| match &self.surroundings.start.folder {
                            Some(before) => before.join(&folder.text),
                            None => PathBuf::from(&folder.text),
                        });
                    return Ok(());
                }
                "export" => {
                    self.surroundings.is_computed |= after.iter().any(|word| word.is_computed);
                    self.surroundings.start.variables.extend(after.iter().filter_map(assignment));
                    return Ok(());
                }
                "taskmon" => {
                    if is_computed || after.iter().any(|word| word.is_computed) {
                        return Err(Unclear::Expands);
                    }
                    start.program = first.text.clone();
                    start.words = after.iter().map(|word| word.text.clone()).collect();
                    self.found.push(start);
                    return Ok(());
                }
                _ => return self.other(Some(first)),
            };
        }
        // Assignments alone hold for what follows.
        self.surroundings.start.variables = start.variables;
        self.surroundings.is_computed = is_computed;
        Ok(())
    }

    fn other(&mut self, program: Option<&Word>) -> Result<(), Unclear> {
        let name = program.and_then(|program| program.text.rsplit('/').next());
        self.is_behind |= name.is_some_and(|name| name.contains("taskmon"));
        Ok(())
    }

    /// A script within the line, which leaves nothing behind for the rest of it.
    fn inner(&mut self, surroundings: Surroundings, script: &str) -> Result<(), Unclear> {
        let mut inner = Reading { surroundings, ..Reading::default() };
        inner.script(script)?;
        self.found.append(&mut inner.found);
        self.is_behind |= inner.is_behind;
        Ok(())
    }
}

fn assignment(word: &Word) -> Option<(String, String)> {
    let (name, value) = word.text.split_once('=')?;
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let is_name = !name.starts_with(|letter: char| letter.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(is_part);
    is_name.then(|| (name.to_owned(), value.to_owned()))
}

/// The options at the beginning, and what follows them. `valued`: those whose next word is their value.
fn split_options<'w>(words: &'w [Word], valued: &[&str]) -> (&'w [Word], &'w [Word]) {
    let mut count = 0;
    while let Some(word) = words.get(count).filter(|word| word.text.starts_with('-')) {
        count += if valued.contains(&word.text.as_str()) { 2 } else { 1 };
        if word.text == "--" {
            break;
        }
    }
    words.split_at(count.min(words.len()))
}

/// What `nice` adds with these options: 10 without one.
fn niceness(options: &[Word]) -> u8 {
    let number = |word: &Word| {
        let digits = word.text.trim_start_matches(|letter: char| !letter.is_ascii_digit());
        digits.parse().ok()
    };
    options.iter().find_map(number).unwrap_or(10)
}

/// Divides a line for `sh` into commands of words, without redirections and comments.
struct Splitter<'l> {
    letters: Peekable<Chars<'l>>,
    commands: Vec<Vec<Word>>,
    word: Option<Word>,
    /// The next word is where a redirection goes.
    is_target: bool,
}

impl<'l> Splitter<'l> {
    fn new(line: &'l str) -> Self {
        let letters = line.chars().peekable();
        Self { letters, commands: vec![Vec::new()], word: None, is_target: false }
    }

    /// `None`: a quote is open, or a here-document begins.
    fn split(mut self) -> Option<Vec<Vec<Word>>> {
        while let Some(letter) = self.letters.next() {
            match letter {
                ' ' | '\t' => self.end_word(),
                '\n' | ';' | '|' | '(' | ')' => self.end_command(),
                '&' if self.letters.peek() == Some(&'>') => {
                    self.letters.next();
                    self.redirect('>')?;
                }
                '&' => self.end_command(),
                '>' | '<' => self.redirect(letter)?,
                '#' if self.word.is_none() => {
                    while self.letters.next_if(|letter| *letter != '\n').is_some() {}
                }
                '\'' => {
                    self.word().text.push_str("");
                    self.up_to('\'')?;
                }
                '"' => self.double_quoted()?,
                '\\' => {
                    if let Some(letter) = self.letters.next() {
                        self.word().text.push(letter);
                    }
                }
                '$' | '`' => self.substitution(letter)?,
                '*' | '?' | '[' => self.computed(letter),
                '~' if self.word.is_none() => self.computed(letter),
                letter => self.word().text.push(letter),
            }
        }
        self.end_command();
        Some(self.commands)
    }

    fn word(&mut self) -> &mut Word {
        self.word.get_or_insert_default()
    }

    fn computed(&mut self, letter: char) {
        let word = self.word();
        word.text.push(letter);
        word.is_computed = true;
    }

    fn end_word(&mut self) {
        if let Some(word) = self.word.take() {
            if !self.is_target
                && let Some(command) = self.commands.last_mut()
            {
                command.push(word);
            }
            self.is_target = false;
        }
    }

    fn end_command(&mut self) {
        self.end_word();
        self.is_target = false;
        self.commands.push(Vec::new());
    }

    fn redirect(&mut self, letter: char) -> Option<()> {
        let is_number = |word: &Word| word.text.chars().all(|letter| letter.is_ascii_digit());
        // `2>`
        if self.word.as_ref().is_some_and(is_number) {
            self.word = None;
        }
        self.end_word();
        match self.letters.peek() {
            Some('<') if letter == '<' => return None,
            Some('>' | '&' | '|') => drop(self.letters.next()),
            _ => {}
        }
        self.is_target = true;
        Some(())
    }

    /// Takes what is there up to a letter as it is.
    fn up_to(&mut self, end: char) -> Option<()> {
        loop {
            match self.letters.next()? {
                letter if letter == end => return Some(()),
                letter => self.word().text.push(letter),
            }
        }
    }

    fn double_quoted(&mut self) -> Option<()> {
        self.word();
        loop {
            match self.letters.next()? {
                '"' => return Some(()),
                '\\' => {
                    let letter = self.letters.next()?;
                    if !"$`\"\\".contains(letter) {
                        self.word().text.push('\\');
                    }
                    self.word().text.push(letter);
                }
                letter @ ('$' | '`') => self.substitution(letter)?,
                letter => self.word().text.push(letter),
            }
        }
    }

    /// `$NAME`, `$(…)`, `${…}` or what is between backticks: its text stays as it is.
    fn substitution(&mut self, letter: char) -> Option<()> {
        self.computed(letter);
        match (letter, self.letters.peek()) {
            ('`', _) => self.up_to('`'),
            (_, Some('{')) => self.up_to('}'),
            (_, Some('(')) => {
                let mut depth = 0_usize;
                loop {
                    let letter = self.letters.next()?;
                    self.word().text.push(letter);
                    match letter {
                        '(' => depth = depth.saturating_add(1),
                        ')' if depth == 1 => return Some(()),
                        ')' => depth = depth.saturating_sub(1),
                        _ => {}
                    }
                }
            }
            _ => Some(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> String {
        let found = starts(line).unwrap_or_else(|why| panic!("{line}: {why:?}"));
        let shown =
            found.iter().map(|start| format!("{} {}", start.program, start.words.join("|")));
        shown.collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn a_start_is_found_behind_what_people_put_before_it() {
        for (line, expected) in [
            ("taskmon stats", "taskmon stats"),
            ("/opt/bin/taskmon stats --days 7 >> /tmp/x 2>&1", "/opt/bin/taskmon stats|--days|7"),
            ("nice -n 12 /usr/local/bin/taskmon stats > /dev/null", "/usr/local/bin/taskmon stats"),
            ("nice -5 taskmon disk", "taskmon disk"),
            ("nice taskmon disk", "taskmon disk"),
            ("nice --adjustment 5 ionice -c 3 taskmon cleanup", "taskmon cleanup"),
            ("ionice -c2 -n7 taskmon cleanup", "taskmon cleanup"),
            ("env A=b C=d taskmon alert", "taskmon alert"),
            ("env -i -u X A=b taskmon alert", "taskmon alert"),
            ("A=b taskmon alert", "taskmon alert"),
            ("flock -n /tmp/lock taskmon stats", "taskmon stats"),
            ("flock -w 5 /tmp/lock -c 'taskmon stats --days 2'", "taskmon stats|--days|2"),
            ("timeout -k 5 1h taskmon stats", "taskmon stats"),
            ("timeout --signal=INT 60 nice taskmon stats", "taskmon stats"),
            ("cd /srv/shop && taskmon stats", "taskmon stats"),
            ("sh -c 'cd /srv && exec taskmon disk \"/a b\"'", "taskmon disk|/a b"),
            ("bash -lc \"taskmon stats\"", "taskmon stats"),
            ("[ -x /usr/bin/taskmon ] && taskmon stats | mail -s x ann", "taskmon stats"),
            ("if true; then taskmon stats; fi", "taskmon stats"),
            ("(taskmon stats; taskmon disk /) &> /dev/null", "taskmon stats; taskmon disk|/"),
            ("$HOME/bin/taskmon stats", "$HOME/bin/taskmon stats"),
            ("taskmon disk 'a b' \"c'd\" e\\ f ''", "taskmon disk|a b|c'd|e f|"),
            ("taskmon stats # the report", "taskmon stats"),
            ("date \"+%F\"; taskmon stats", "taskmon stats"),
            ("tar czf /backup/x.tgz /var/lib/taskmon", ""),
            ("echo 'it is", ""),
            ("/bin/true", ""),
        ] {
            assert_eq!(words(line), expected, "{line}");
        }
    }

    #[test]
    fn what_surrounds_a_start_is_kept() {
        let found = starts(
            "export A=1; B=2; cd /srv; cd shop && C=3 nice -n 14 taskmon stats; taskmon disk",
        )
        .unwrap();
        let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            found[0].variables,
            [variable("A", "1"), variable("B", "2"), variable("C", "3")]
        );
        assert_eq!(found[0].folder, Some(PathBuf::from("/srv/shop")));
        assert_eq!((found[0].niceness, found[1].niceness), (14, 0));
        assert_eq!(found[1].variables.len(), 2);
    }

    #[test]
    fn what_is_not_sure_is_not_guessed() {
        for (line, why) in [
            ("taskmon stats --date $(date +%F)", Unclear::Expands),
            ("taskmon stats --date \"`date +%F`\"", Unclear::Expands),
            ("cd $DIR && taskmon stats", Unclear::Expands),
            ("TASKMON_CONFIG=$HOME/x.toml taskmon stats", Unclear::Expands),
            ("taskmon disk /mnt/*", Unclear::Expands),
            ("taskmon stats 'it", Unclear::Shell),
            ("taskmon stats <<END", Unclear::Shell),
            ("run-one taskmon stats", Unclear::Behind),
            ("sudo -u shop taskmon stats", Unclear::Behind),
            ("/opt/taskmon-nightly.sh", Unclear::Behind),
            ("bash /opt/taskmon-nightly.sh", Unclear::Behind),
            ("echo \"$(taskmon stats)\"", Unclear::Behind),
        ] {
            assert_eq!(starts(line), Err(why), "{line}");
        }
    }
}
