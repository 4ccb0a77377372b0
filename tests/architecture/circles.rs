//! No file imports another that imports it, be it by way of others.
//!
//! A file that imports what stands above it, as `store/sqlite/mod.rs` does with the traits of `store/mod.rs`, makes no circle: the
//! parent declares the types that its files share. A parent that uses its files, and files that use each other, are on the map.

use super::{Keep, Source, blank, imports, module_of, source, sources, within};
use std::collections::{BTreeMap, BTreeSet};

/// The files that are in a circle today. The list only shrinks: nothing is added, and what has left its circle is taken off.
const KNOWN: &[&str] = &[];

type Map<'s> = BTreeMap<&'s str, BTreeSet<&'s str>>;

#[test]
fn no_file_imports_another_that_imports_it() {
    let sources = sources();
    let map = imported(&sources);
    let circles = circles(&map);
    let known: BTreeSet<&str> = KNOWN.iter().copied().collect();
    let mut wrong = Vec::new();
    for circle in &circles {
        if circle.iter().any(|module| !known.contains(module)) {
            wrong.push(format!("a circle: {}", described(&map, circle)));
        }
    }
    let in_circles: BTreeSet<&str> = circles.into_iter().flatten().collect();
    for module in known.difference(&in_circles) {
        wrong.push(format!("{module} is in no circle any more: take it off KNOWN"));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// Which modules each imports, but for those above it.
fn imported(sources: &[Source]) -> Map<'_> {
    let modules: BTreeSet<&str> = sources.iter().map(|source| source.module.as_str()).collect();
    let mut map = Map::new();
    for source in sources {
        let targets: BTreeSet<String> = imports(source)
            .into_iter()
            .map(|import| module_of(&import.path, &modules))
            .chain(used_children(source, &modules))
            .collect();
        let others = modules
            .iter()
            .copied()
            .filter(|module| targets.contains(*module) && !within(&source.module, module));
        map.insert(&source.module, others.collect());
    }
    map
}

/// The files beneath a `mod.rs` that it names without `crate::` or `self::`, as in `use dialect::Dialect;` or `rows::read(…)`.
fn used_children(source: &Source, modules: &BTreeSet<&str>) -> Vec<String> {
    let code = blank(&source.text, Keep::Code);
    let children = modules.iter().filter_map(|module| {
        let name = module.strip_prefix(source.module.as_str())?.strip_prefix("::")?;
        (!name.contains("::")).then_some((*module, name))
    });
    children
        .filter(|(_, name)| {
            code.match_indices(&format!("{name}::")).any(|(at, _)| {
                let before = &code[..at];
                let own = before.strip_suffix("self::").unwrap_or(before);
                !own.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
            })
        })
        .map(|(module, _)| module.to_owned())
        .collect()
}

/// The groups of files of which each reaches every other.
fn circles<'s>(map: &Map<'s>) -> Vec<Vec<&'s str>> {
    let reached: Map<'s> = map.keys().map(|module| (*module, reachable(map, module))).collect();
    let mut found: Vec<Vec<&str>> = Vec::new();
    for (module, others) in &reached {
        if others.contains(module) && !found.iter().any(|circle| circle.contains(module)) {
            let circle = others.iter().copied().filter(|other| reached[other].contains(module));
            found.push(circle.collect());
        }
    }
    found
}

fn reachable<'s>(map: &Map<'s>, from: &str) -> BTreeSet<&'s str> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&str> = map[from].iter().copied().collect();
    while let Some(module) = next.pop() {
        if reached.insert(module) {
            next.extend(&map[module]);
        }
    }
    reached
}

fn described(map: &Map, circle: &[&str]) -> String {
    let imports = circle.iter().map(|module| {
        let inside: Vec<&str> =
            map[module].iter().copied().filter(|other| circle.contains(other)).collect();
        format!("\n  {module} imports {}", inside.join(", "))
    });
    imports.collect()
}

// ---- a check that cannot fail proves nothing

/// The circles among made-up files.
fn circles_of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
    let sources: Vec<Source> = files.iter().map(|(inside, text)| source(inside, text)).collect();
    let map = imported(&sources);
    let owned = |circle: Vec<&str>| circle.into_iter().map(str::to_owned).collect();
    circles(&map).into_iter().map(owned).collect()
}

#[test]
fn a_circle_is_found_however_long_it_is() {
    let a = ("a.rs", "use crate::b::B;");
    assert_eq!(circles_of(&[a, ("b.rs", "use crate::a::A;")]), [["a", "b"]]);
    let c = ("c.rs", "fn f() { crate::a::g() }");
    assert_eq!(circles_of(&[a, ("b.rs", "use super::c;"), c]), [["a", "b", "c"]]);
    // By way of a parent that uses its own file.
    let parent = ("p/mod.rs", "mod x;\npub fn f() { x::g() }");
    let child = ("p/x.rs", "use crate::q::Q;");
    let other = ("q.rs", "use crate::p;");
    assert_eq!(circles_of(&[parent, child, other]), [["p", "p::x", "q"]]);
    let siblings =
        [("p/mod.rs", ""), ("p/x.rs", "use super::y::Y;"), ("p/y.rs", "use super::x::X;")];
    assert_eq!(circles_of(&siblings), [["p::x", "p::y"]]);
}

#[test]
fn files_that_use_their_parents_types_make_no_circle() {
    let parent = ("p/mod.rs", "mod x;\nmod y;\npub use x::X;\npub fn f() { y::g() }");
    let files = [
        parent,
        ("p/x.rs", "use super::Shared;\nuse crate::p::y;"),
        ("p/y.rs", "use super::Shared;"),
    ];
    assert_eq!(circles_of(&files), Vec::<Vec<String>>::new());
    let tests = ("a.rs", "#[cfg(test)]\nmod tests {\n    use crate::b::B;\n}");
    assert_eq!(circles_of(&[tests, ("b.rs", "use crate::a::A;")]), Vec::<Vec<String>>::new());
}
