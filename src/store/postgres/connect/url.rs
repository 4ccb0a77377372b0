//! Takes a PostgreSQL URL apart into parameters, the way libpq does (manual: "Connection URIs"), or the way SQLAlchemy
//! does where its schemes are used.
//!
//! A password that was not percent-encoded may end up in any part of a URL, so an error repeats text from
//! one only where no stray `@` shows that this may have happened, and never from before the first `/`.

use super::hosts::read_port;
use super::parameters::{Parameters, UrlContext, find};
use percent_encoding::percent_decode_str;

/// Whose rules a URL follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// `postgresql://`: a stray percent sign is an error, `+` is a plus.
    Libpq,
    /// `postgresql+DRIVER://`: a password may hold anything but `@`, a stray percent sign means
    /// itself, `+` in the query is a space, and `host` may be repeated.
    Sqlalchemy,
}

/// Reads what follows the `//` of a PostgreSQL URL.
///
/// # Errors
/// Says what is wrong in the URL, without any password.
pub fn read<'a>(
    rest: &str,
    style: Style,
    context: &'a UrlContext,
) -> Result<Parameters<'a>, String> {
    let (credentials, behind) = split_credentials(rest, style);
    let (location, query) = behind.split_once('?').unwrap_or((behind, ""));
    let (authority, path) = location.split_once('/').unwrap_or((location, ""));
    if location.contains('@') {
        return Err(
            "it has an @ too many: in a user name or a password @ is written %40, / %2F, : %3A and % %25"
                .to_owned(),
        );
    }
    let mut parameters = Parameters::new(context);
    parameters.echo =
        !query.contains('@') && !query.split('&').any(|pair| pair.starts_with("password"));
    if let Some(credentials) = credentials {
        let (user, password) = match credentials.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (credentials, None),
        };
        parameters.give("user", decode(user, style, "the user name")?);
        if let Some(password) = password {
            parameters.give("password", decode(password, style, "the password")?);
        }
    }
    read_authority(authority, style, &mut parameters)?;
    parameters.give("dbname", decode(path, style, "the database name")?);
    read_query(query, style, &mut parameters)?;
    Ok(parameters)
}

/// The part before the `@` that ends user name and password, and the part behind it.
fn split_credentials(rest: &str, style: Style) -> (Option<&str>, &str) {
    let Some((before, behind)) = rest.split_once('@') else {
        return (None, rest);
    };
    let user = match style {
        // In libpq's eyes an @ behind a slash belongs to the path.
        Style::Libpq => before,
        Style::Sqlalchemy => before.split(':').next().unwrap_or(before),
    };
    if user.contains('/') { (None, rest) } else { (Some(before), behind) }
}

/// `host:port,host:port`, an IPv6 address in brackets.
fn read_authority(
    authority: &str,
    style: Style,
    parameters: &mut Parameters,
) -> Result<(), String> {
    let mut hosts = vec![];
    let mut ports = vec![];
    for part in authority.split(',') {
        let (host, port) = split_port(part)?;
        hosts.push(decode(host, style, "the host")?);
        ports.push(decode(port, style, "the port")?);
    }
    parameters.give_list("host", &hosts);
    parameters.give_list("port", &ports);
    // Before the query is looked at: a port that is none may be the start of a password.
    for port in ports {
        read_port(&port, "the URL's port")?;
    }
    Ok(())
}

fn split_port(part: &str) -> Result<(&str, &str), String> {
    if let Some(inner) = part.strip_prefix('[') {
        let (address, behind) =
            inner.split_once(']').ok_or("an IPv6 address is missing its closing bracket")?;
        return match behind.strip_prefix(':') {
            Some(port) => Ok((address, port)),
            None if behind.is_empty() => Ok((address, "")),
            None => Err("something other than a port follows an IPv6 address".to_owned()),
        };
    }
    Ok(part.split_once(':').unwrap_or((part, "")))
}

fn read_query(query: &str, style: Style, parameters: &mut Parameters) -> Result<(), String> {
    let mut hosts = vec![];
    let mut seen = vec![];
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let plus_is_space;
        let pair = match style {
            Style::Libpq => pair,
            Style::Sqlalchemy => {
                plus_is_space = pair.replace('+', " ");
                plus_is_space.as_str()
            }
        };
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode(name, style, "the name of a parameter")?;
        let value = decode(value, style, "the value of a parameter")?;
        if style == Style::Sqlalchemy && name == "host" {
            hosts.push(value);
            continue;
        }
        let (name, value) = known_as(name, value);
        let Some(known) = find(&name) else {
            return Err(unknown_parameter(&name, parameters));
        };
        if seen.contains(&known) {
            return Err(format!("the parameter {known} is in it twice"));
        }
        seen.push(known);
        parameters.give(known, value);
    }
    read_repeated_hosts(&hosts, parameters)
}

/// Other names for `sslmode`: JDBC's `ssl=true`, which libpq reads too, and asyncpg's `ssl=MODE`.
fn known_as(name: String, value: String) -> (String, String) {
    match (name.as_str(), value.as_str()) {
        ("ssl", "true") => ("sslmode".to_owned(), "require".to_owned()),
        ("ssl", _) => ("sslmode".to_owned(), value),
        _ => (name, value),
    }
}

fn unknown_parameter(name: &str, parameters: &Parameters) -> String {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
    if parameters.echo && plain && !name.is_empty() {
        format!(
            "the parameter {name} is not supported; taskmon needs a URL of its own without it (TASKMON_DATABASE_URL)"
        )
    } else {
        "something behind the ? is not a parameter that taskmon knows; a ? or / in a password is written %3F or %2F"
            .to_owned()
    }
}

/// SQLAlchemy's `?host=h1:5432&host=h2:5433`.
fn read_repeated_hosts(values: &[String], parameters: &mut Parameters) -> Result<(), String> {
    if values.is_empty() {
        return Ok(());
    }
    let mut hosts = vec![];
    let mut ports = vec![];
    for part in values.iter().flat_map(|value| value.split(',')) {
        let (host, port) = match part.matches(':').count() {
            _ if part.starts_with('[') => split_port(part)?,
            1 if !part.starts_with('/') => split_port(part)?,
            _ => (part, ""),
        };
        hosts.push(host.to_owned());
        ports.push(port.to_owned());
    }
    parameters.give_list("host", &hosts);
    if !ports.iter().all(String::is_empty) {
        parameters.give_list("port", &ports);
    }
    Ok(())
}

fn decode(text: &str, style: Style, part: &str) -> Result<String, String> {
    let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    let bytes = text.as_bytes();
    let stray = bytes
        .iter()
        .enumerate()
        .any(|(i, byte)| *byte == b'%' && !(digit(bytes.get(i + 1)) && digit(bytes.get(i + 2))));
    if stray && style == Style::Libpq {
        return Err(format!(
            "{part} holds a % that two hexadecimal digits do not follow; a % itself is written %25"
        ));
    }
    let decoded = percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| format!("{part}, with its % signs decoded, is not UTF-8"))?;
    if decoded.contains('\0') {
        return Err(format!("{part} holds a zero byte"));
    }
    Ok(decoded.into_owned())
}
