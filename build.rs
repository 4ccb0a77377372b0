//! Links the program where it runs on Linux with the GNU C library at a fixed address.
//!
//! The tables of the time zones hold more than thirty thousand pointers to abbreviations such as "CEST". In an executable that may
//! stand anywhere the loader adjusts every one of them at every start, and copies the pages that they stand in: that took half of
//! the time of `taskmon disk`. Libraries, heap and stack still stand where chance puts them.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = |name: &str| std::env::var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    if target("OS") == "linux" && target("ENV") == "gnu" {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
