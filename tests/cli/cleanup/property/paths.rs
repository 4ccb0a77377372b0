//! Files, the ways that lead to their folders, and what the kernel says of a path.

use super::*;
use std::fs::File;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

/// Where files lie: in two storage roots, in folders of temporary files within one and without, among logs, and elsewhere.
const FOLDERS: [&str; 10] = [
    "uploads",
    "uploads/a",
    "uploads/b",
    "static",
    "static/a",
    "uploads/temp",
    "uploads/temp/in",
    "scratch/in",
    "outside",
    "logs",
];

const ROOTS: [&str; 3] = ["uploads", "static", "data"];

/// Links further down are not looked for.
const LINKS: [&str; 4] = ["l", "data", "uploads/l", "static/l"];

const POINTS: [&str; 18] = [
    "uploads",
    "uploads/a",
    "uploads/b",
    "uploads/c",
    "uploads/a/c",
    "static",
    "static/a",
    "static/c",
    "uploads/temp",
    "uploads/temp/in",
    "uploads/temp/c",
    "scratch",
    "scratch/c",
    "outside",
    "outside/c/d",
    "logs/c",
    "data",
    "c",
];

/// A file, and how old it is.
#[derive(Debug, Clone)]
pub struct Drawn {
    folder: &'static str,
    /// Minutes before the true time.
    minutes: i64,
    is_in_use: bool,
}

pub fn drawn() -> impl Strategy<Value = Drawn> {
    let folder = prop::sample::select(FOLDERS.to_vec());
    (folder, 1i64..60 * DAY_IN_MINUTES, prop::bool::weighted(0.2))
        .prop_map(|(folder, minutes, is_in_use)| Drawn { folder, minutes, is_in_use })
}

/// Whether all of it is bound somewhere without what is mounted in it. The text of a path through that is taken to lead to the mount, so that a file there
/// may stay that no row names; it never goes too early.
pub fn leave_a_mount_out(ways: &[Way]) -> bool {
    let is_whole = |way: &Way| matches!(way, Way::Bind { option: "--bind", from: "", .. });
    let is_other = |way: &Way| !is_whole(way) && !matches!(way, Way::Link { .. });
    ways.iter().any(is_whole) && ways.iter().any(is_other)
}

/// One more way to a folder or a file, in the order in which they are made.
#[derive(Debug, Clone)]
pub enum Way {
    Link {
        from: &'static str,
        to: &'static str,
    },
    Bind {
        option: &'static str,
        from: &'static str,
        to: &'static str,
    },
    /// Of a file, by its number.
    BindFile {
        file: prop::sample::Index,
        to: &'static str,
    },
    /// Something that is not there otherwise.
    Volume {
        to: &'static str,
    },
}

pub fn way() -> impl Strategy<Value = Way> {
    let point = || prop::sample::select(POINTS.to_vec());
    let from = || {
        let all: Vec<&str> = [""].into_iter().chain(POINTS).chain(LINKS).collect();
        prop::sample::select(all)
    };
    let link = (from(), prop::sample::select(LINKS.to_vec()));
    let option = prop::sample::select(vec!["--bind", "--rbind"]);
    prop_oneof![
        3 => link.prop_map(|(from, to)| Way::Link { from, to }),
        6 => (option, from(), point()).prop_map(|(option, from, to)| Way::Bind { option, from, to }),
        2 => (any::<prop::sample::Index>(), point()).prop_map(|(file, to)| Way::BindFile { file, to }),
        1 => point().prop_map(|to| Way::Volume { to }),
    ]
}

/// A path that a row writes: of one of the files, by one of the ways that lead there, in one of several forms.
#[derive(Debug, Clone)]
pub struct Spelled {
    file: prop::sample::Index,
    way: prop::sample::Index,
    form: u8,
}

pub fn spelled() -> impl Strategy<Value = Option<Spelled>> {
    let any = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0u8..8);
    prop::option::weighted(0.6, any.prop_map(|(file, way, form)| Spelled { file, way, form }))
}

fn name(number: usize) -> String {
    format!("f{number}.log")
}

/// The path of a file in the folder in which it was made.
pub fn own_path(files: &[Drawn], number: usize) -> String {
    format!("{}/{}", files[number].folder, name(number))
}

/// The paths by which a file may be reached, by what was linked and mounted, whether or not something hides it there.
fn paths_of(files: &[Drawn], number: usize, ways: &[Way]) -> Vec<String> {
    let mut paths = vec![own_path(files, number)];
    for way in ways {
        let more: Vec<String> = match way {
            Way::BindFile { file, to } if file.index(files.len()) == number => {
                vec![format!("{to}/bound")]
            }
            Way::Link { from, to } | Way::Bind { from, to, .. } => {
                let rest = |path: &String| match *from {
                    "" => Some(path.clone()),
                    from => path.strip_prefix(from)?.strip_prefix('/').map(str::to_owned),
                };
                paths.iter().filter_map(rest).map(|rest| format!("{to}/{rest}")).collect()
            }
            _ => Vec::new(),
        };
        paths.extend(more.into_iter().take(10));
        paths.sort();
        paths.dedup();
    }
    paths
}

impl Spelled {
    pub fn text(&self, env: &TestEnv, files: &[Drawn], ways: &[Way]) -> String {
        let paths = paths_of(files, self.file.index(files.len()), ways);
        let path = &paths[self.way.index(paths.len())];
        let (folder, name) = path.rsplit_once('/').unwrap();
        let last = folder.rsplit('/').next().unwrap();
        match self.form {
            0 => format!("./{folder}//{name}"),
            1 => env.path(path).display().to_string(),
            // After a link, `..` is taken as it is written, which is not where it leads.
            2 if !leads_through_link(env, folder) => format!("{folder}/../{last}/{name}"),
            3 => format!("static/../{path}"),
            4 => format!("{folder}/gone_{name}"),
            _ => path.clone(),
        }
    }
}

fn leads_through_link(env: &TestEnv, folder: &str) -> bool {
    let without_links = env.path("").canonicalize().unwrap().join(folder);
    env.path(folder).canonicalize().is_ok_and(|real| real != without_links)
}

/// Device and inode.
pub type FileId = (u64, u64);

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    pub id: FileId,
    /// It lies beneath a storage root.
    pub is_inside: bool,
}

/// What the kernel finds by a path; `None`: no file.
pub fn find(env: &TestEnv, path: &str) -> Option<Found> {
    let path = env.path(path);
    let folder = path.parent()?.canonicalize().ok()?;
    let found = path.symlink_metadata().ok().filter(|found| found.is_file())?;
    let mut roots = ROOTS.iter().filter_map(|root| env.path(root).canonicalize().ok());
    let is_inside = roots.any(|root| folder.starts_with(root));
    Some(Found { id: (found.dev(), found.ino()), is_inside })
}

/// The files and the ways to them; the ways are gone once it is dropped.
pub struct Places {
    mounted: Vec<PathBuf>,
    /// Held open for as long as the run takes.
    _in_use: Vec<File>,
    /// Those that a process has open for writing.
    pub in_use: BTreeSet<FileId>,
    /// Each file, by its number.
    pub ids: Vec<FileId>,
}

impl Places {
    pub fn make(env: &TestEnv, files: &[Drawn], ways: &[Way], true_time: DateTime<Utc>) -> Self {
        for place in
            ["uploads", "static", "scratch", "outside", "logs", "reports", "data", "l", "c"]
        {
            let path = env.path(place);
            let is_link = path.is_symlink();
            let gone =
                if is_link { std::fs::remove_file(path) } else { std::fs::remove_dir_all(path) };
            assert!(gone.is_ok() || gone.unwrap_err().kind() == std::io::ErrorKind::NotFound);
        }
        for folder in FOLDERS {
            env.write(&format!("{folder}/.gitkeep"), "");
        }
        let mut places = Self {
            mounted: Vec::new(),
            _in_use: Vec::new(),
            in_use: BTreeSet::new(),
            ids: Vec::new(),
        };
        for (number, drawn) in files.iter().enumerate() {
            let path = own_path(files, number);
            env.write(&path, "0123456789");
            let file = File::options().append(true).open(env.path(&path)).unwrap();
            file.set_modified((true_time - TimeDelta::minutes(drawn.minutes)).into()).unwrap();
            let found = file.metadata().unwrap();
            places.ids.push((found.dev(), found.ino()));
            if drawn.is_in_use {
                places.in_use.insert((found.dev(), found.ino()));
                places._in_use.push(file);
            }
        }
        ways.iter().for_each(|way| places.add(env, files, way));
        places
    }

    /// What a way that was made before has hidden leads nowhere.
    fn add(&mut self, env: &TestEnv, files: &[Drawn], way: &Way) {
        match way {
            // One to a folder that holds it is on the way of paths without end.
            Way::Link { from, to } if Path::new(to).starts_with(from) => {}
            Way::Link { from, to } => {
                // What is in its place stays.
                let _ = symlink(env.path(from), env.path(to));
            }
            Way::Bind { option, from, to } if env.path(from).is_dir() => {
                self.mount(&[option, env.path(from).to_str().unwrap()], env.path(to));
            }
            Way::BindFile { file, to } => {
                let from = env.path(own_path(files, file.index(files.len())));
                let point = env.path(to).join("bound");
                if from.is_file()
                    && std::fs::create_dir_all(env.path(to)).is_ok()
                    && !point.exists()
                {
                    File::create(&point).unwrap();
                    self.mount(&["--bind", from.to_str().unwrap()], point);
                }
            }
            Way::Volume { to } => self.mount(&["-t", "tmpfs", "none"], env.path(to)),
            Way::Bind { .. } => {}
        }
    }

    fn mount(&mut self, arguments: &[&str], point: PathBuf) {
        if !point.exists() && std::fs::create_dir_all(&point).is_err() {
            return;
        }
        let status = Command::new("mount").args(arguments).arg(&point).status().unwrap();
        assert!(status.success(), "mount {arguments:?} {}: needs root", point.display());
        self.mounted.push(point.canonicalize().unwrap());
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        for point in self.mounted.iter().rev() {
            let status = Command::new("umount").args(["--lazy"]).arg(point).status();
            assert!(status.unwrap().success(), "umount {}", point.display());
        }
    }
}

/// What is swept of a folder: regular files of its own file system, no link followed and nothing entered that is mounted; with their times.
pub fn swept(env: &TestEnv, folder: &str) -> Vec<(FileId, DateTime<Utc>)> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let points: BTreeSet<&str> = mounts.lines().filter_map(|line| line.split(' ').nth(4)).collect();
    let top = env.path(folder).canonicalize();
    let mut folders: Vec<PathBuf> = top.into_iter().collect();
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if points.contains(entry.path().to_str().unwrap()) {
                continue;
            }
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() && entry.file_name() != ".gitkeep" {
                let stat = entry.metadata().unwrap();
                let time = DateTime::from_timestamp(stat.mtime(), 0).unwrap();
                found.push(((stat.dev(), stat.ino()), time));
            }
        }
    }
    found
}
