//! Folders drawn at random: no file goes that is young, protected, in use or elsewhere, and every other one goes.

use super::*;
use references::Chance;
use std::fs::File;
use std::path::PathBuf;

/// A file beneath the folder that is swept.
struct Drawn {
    path: PathBuf,
    hours: u64,
    open: Option<File>,
}

impl Drawn {
    /// `/b/` and `*.keep`.
    fn is_protected(&self) -> bool {
        let name = self.path.file_name().unwrap().to_str().unwrap();
        self.path.starts_with("b") || name.ends_with(".keep")
    }

    fn is_log(&self) -> bool {
        let name = self.path.file_name().unwrap().to_str().unwrap();
        name.ends_with(".log") || name.contains(".log.")
    }
}

/// Some 150 files, a tenth of which somebody writes to.
fn draw(top: &Path, chance: &mut Chance) -> Vec<Drawn> {
    let folders = ["a", "b", "c\nd", " e ", "单", ".f", "g.log"];
    let ends = ["", ".log", ".log.1", ".keep", "\u{1b}[31m", ".bin"];
    let mut files: BTreeMap<PathBuf, Drawn> = BTreeMap::new();
    for number in 0..150 {
        let mut path = PathBuf::new();
        for _ in 0..chance.below(5) {
            path.push(chance.one_of(&folders));
        }
        path.push(format!("{number}{}", chance.one_of(&ends)));
        let full = top.join(&path);
        std::fs::create_dir_all(full.parent().unwrap()).unwrap();
        std::fs::write(&full, "0123456789").unwrap();
        let hours = chance.below(200);
        age(&full, hours);
        let open = chance.below(10) == 0;
        let open = open.then(|| File::options().append(true).open(&full).unwrap());
        files.insert(path.clone(), Drawn { path, hours, open });
    }
    files.into_values().collect()
}

#[test]
fn at_random_no_file_goes_that_is_young_protected_in_use_or_elsewhere() {
    for seed in 1..=8 {
        let mut chance = Chance(seed);
        let env = TestEnv::new();
        let days = 1 + chance.below(7);
        let hours = days * 24;
        let limits = format!("temp_files_hours = {hours}\nlog_files_days = {days}");
        let by = if seed % 4 == 0 { "temp_age_by = 'youngest'\n" } else { "" };
        let config = format!("{limits}\nprotect = ['/b/', '*.keep']");
        env.config(&format!("[cleanup]\n{config}"));
        if !by.is_empty() {
            env.write("taskmon.toml", &format!("[cleanup]\n{by}{config}"));
        }
        env.write("outside/old.log", "precious");
        age(&env.path("outside/old.log"), 50_000);
        for (part, top) in [("temp", "uploads/temp"), ("logs", "logs")] {
            let top = env.path(top);
            let files = draw(&top, &mut chance);
            for (link, target) in [("link", "outside"), ("link.log", "outside/old.log")] {
                std::os::unix::fs::symlink(env.path(target), top.join(link)).unwrap();
            }
            let is_old = |file: &&Drawn| {
                let is_candidate =
                    part == "temp" && by.is_empty() || part == "logs" && file.is_log();
                // The limit counts from a moment after the files were made.
                is_candidate && file.hours >= hours && !file.is_protected()
            };
            let (in_use, goes): (Vec<&Drawn>, Vec<&Drawn>) =
                files.iter().filter(is_old).partition(|file| file.open.is_some());
            let words = ["cleanup", "--only", part];
            let dry_run = env.taskmon(words).arg("--dry-run").success().json();
            assert!(files.iter().all(|file| top.join(&file.path).exists()), "seed {seed}");
            let result = env.taskmon(words).success().json();
            for result in [dry_run, result] {
                let gone = result["files_cleaned"].as_u64().unwrap()
                    + result["logs_cleaned"].as_u64().unwrap();
                assert_eq!(gone, goes.len() as u64, "seed {seed}: {part}: {result:#}");
                assert_eq!(result["files_in_use"], in_use.len(), "seed {seed}: {part}: {result:#}");
            }
            let goes: BTreeSet<&Path> = goes.iter().map(|file| file.path.as_path()).collect();
            for file in &files {
                let is_there = top.join(&file.path).exists();
                let why = format!(
                    "seed {seed}: {:?}, {} hours old, limit {hours}",
                    file.path, file.hours
                );
                assert_eq!(is_there, !goes.contains(file.path.as_path()), "{why}");
            }
            assert_eq!(env.read("outside/old.log"), "precious");
        }
    }
}
