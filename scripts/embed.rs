//! Run by cargo before it builds: lists the files that the program carries, so that a new preset or a new page of the manual is a new file and nothing
//! else.

// cargo takes its orders from there.
#![allow(clippy::print_stdout)]

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, error::Error, fs};

/// A list of the program, the folder whose files it has, and how their names end.
const LISTS: [(&str, &str, &str); 3] = [
    ("presets.rs", "src/mapping/presets", "toml"),
    ("manual_en.rs", "src/manual/en", "md"),
    ("manual_zh.rs", "src/manual/zh", "md"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(env::var("OUT_DIR")?);
    for (list, folder, ending) in LISTS {
        fs::write(out.join(list), files(&root.join(folder), ending)?)?;
    }
    Ok(())
}

/// A Rust expression: a slice of the files' names, without their ending, and texts.
fn files(folder: &Path, ending: &str) -> Result<String, Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files: Vec<_> = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.retain(|file| file.extension().is_some_and(|found| found == ending));
    files.sort();
    let mut list = String::from("&[\n");
    for file in &files {
        let name = file.file_stem().unwrap_or_default();
        writeln!(list, "({name:?}, include_str!({file:?})),")?;
    }
    list += "]";
    Ok(list)
}
