//! A path's canonical form as an expression of PostgreSQL's.

use super::super::quote::literal;
use crate::mapping::canonical_path::PathAliases;

/// As [`PathAliases::canonical`] makes it; most paths are canonical and are left alone.
pub fn canonical(aliases: &PathAliases, expression: &str) -> String {
    let file = bytewise(expression);
    let start = match aliases.base() {
        "" => file.clone(),
        base => format!(
            "(CASE WHEN left({file}, 1) = '/' THEN {file} ELSE {} || {file} END)",
            literal(&format!("{base}/"))
        ),
    };
    let mut rewritten = format!("regexp_replace({start}, '/(\\.?/)+', '/', 'g')");
    rewritten = format!("regexp_replace({rewritten}, '^(\\./)+', '')");
    rewritten = format!("regexp_replace({rewritten}, '/\\.?$', '')");
    // Each step takes one folder back, until there is none.
    let step = "'(^|/)(?!\\.\\.(/|$))[^/]+/\\.\\.(/|$)'";
    rewritten = format!(
        "(SELECT CASE WHEN strpos(w.path, '/..') = 0 THEN w.path ELSE (WITH RECURSIVE taskmon_up(path) AS (SELECT w.path UNION ALL \
         SELECT regexp_replace(path, {step}, '\\1') FROM taskmon_up WHERE path ~ {step}) SELECT path FROM taskmon_up WHERE path !~ {step}) END \
         FROM (SELECT {rewritten} AS path) AS w)"
    );
    let whens: String = aliases
        .folders()
        .iter()
        .map(|(folder, name)| replaced_start("s.path", folder, name))
        .collect();
    let folded = if whens.is_empty() {
        rewritten
    } else {
        format!("(SELECT CASE{whens} ELSE s.path END FROM (SELECT {rewritten} AS path) AS s)")
    };
    let rewritten = format!(
        "CASE WHEN left({file}, 1) IN ('/', '.') OR right({file}, 1) = '/' OR strpos({file}, '//') > 0 \
         OR strpos({file}, '/.') > 0 THEN {folded} ELSE {file} END"
    );
    let files = (aliases.files().iter())
        .map(|(path, file)| format!(" WHEN l.path = {} THEN {}", literal(path), literal(file)));
    let links = aliases.links().iter();
    let links = links.map(|(link, folder)| replaced_start("l.path", link, folder));
    let leads: String = files.chain(links).collect();
    if leads.is_empty() {
        rewritten
    } else {
        // OFFSET 0 has the planner not write the expression out for each of them.
        format!(
            "(SELECT CASE{leads} ELSE l.path END FROM (SELECT {rewritten} AS path OFFSET 0) AS l)"
        )
    }
}

/// A path as text that is compared byte by byte: quicker than any language's rules, and the same for all columns.
pub fn bytewise(expression: &str) -> String {
    format!("(({expression})::text COLLATE \"C\")")
}

/// `WHEN` the path lies beneath a folder `THEN` the same beneath another one.
fn replaced_start(path: &str, folder: &str, name: &str) -> String {
    let start = format!("{folder}/");
    let length = start.chars().count();
    let name = match name {
        "" => String::new(),
        name => format!("{} || ", literal(&format!("{name}/"))),
    };
    format!(
        " WHEN left({path}, {length}) = {} THEN {name}substr({path}, {})",
        literal(&start),
        length + 1
    )
}
