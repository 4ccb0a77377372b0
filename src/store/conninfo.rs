//! Reads a PostgreSQL URL the way libpq does (manual: "Connection URIs", "Parameter Key Words",
//! "Environment Variables"), or the way SQLAlchemy does where its schemes are used.
//!
//! Every parameter comes from the URL, else from its variable, else from its default. One that taskmon cannot
//! honour is an error that names it.
//!
//! A password that was not percent-encoded may end up in any part of a URL, so an error repeats text from
//! one only where no stray `@` shows that this may have happened, and never from before the first `/`.

use super::passfile::Passfile;
use super::target::{
    ChannelBinding, ClientCertificate, Host, Keepalive, PostgresTarget, RootCertificate,
    SessionAttributes, SslMode, UrlContext,
};
use percent_encoding::percent_decode_str;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Whose rules a URL follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// `postgresql://`: a stray percent sign is an error, `+` is a plus.
    Libpq,
    /// `postgresql+DRIVER://`: a password may hold anything but `@`, a stray percent sign stands for
    /// itself, `+` in the query is a space, and `host` may be repeated.
    Sqlalchemy,
}

/// The parameters that are honoured, each with the variable that fills it.
const PARAMETERS: &[(&str, &str)] = &[
    ("host", "PGHOST"),
    ("hostaddr", "PGHOSTADDR"),
    ("port", "PGPORT"),
    ("user", "PGUSER"),
    ("password", "PGPASSWORD"),
    ("passfile", "PGPASSFILE"),
    ("dbname", "PGDATABASE"),
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
    ("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION"),
    ("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION"),
    ("sslnegotiation", "PGSSLNEGOTIATION"),
    ("sslcompression", "PGSSLCOMPRESSION"),
    ("sslsni", "PGSSLSNI"),
    ("channel_binding", "PGCHANNELBINDING"),
    ("gssencmode", "PGGSSENCMODE"),
    ("application_name", "PGAPPNAME"),
    ("fallback_application_name", ""),
    ("options", "PGOPTIONS"),
    // taskmon always speaks UTF-8, so PGCLIENTENCODING has nothing to say here.
    ("client_encoding", ""),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    ("target_session_attrs", "PGTARGETSESSIONATTRS"),
    ("load_balance_hosts", "PGLOADBALANCEHOSTS"),
    ("keepalives", ""),
    ("keepalives_idle", ""),
    ("keepalives_interval", ""),
    ("keepalives_count", ""),
    ("tcp_user_timeout", ""),
    ("replication", ""),
];

/// Variables with which libpq would connect elsewhere, or refuse what taskmon would accept.
const REFUSED_VARIABLES: &[&str] = &[
    "PGSERVICE",
    "PGREQUIREPEER",
    "PGREQUIREAUTH",
    "PGREQUIRESSL",
    "PGSSLCRL",
    "PGSSLCRLDIR",
    "PGSSLCERTMODE",
];

/// Where PostgreSQL listens on this machine unless it is told otherwise, on most Linux systems.
const SOCKET_FOLDER: &str = "/var/run/postgresql";

const DEFAULT_PORT: u16 = 5432;

/// Reads what stands behind the `//` of a PostgreSQL URL.
///
/// # Errors
/// Says what is wrong in the URL or a variable, without any password.
pub fn parse(rest: &str, style: Style, context: &UrlContext) -> Result<PostgresTarget, String> {
    let (credentials, behind) = split_credentials(rest, style);
    let (location, query) = behind.split_once('?').unwrap_or((behind, ""));
    let (authority, path) = location.split_once('/').unwrap_or((location, ""));
    if location.contains('@') {
        return Err(
            "it has an @ too many: in a user name or a password @ is written %40, / %2F, : %3A and % %25"
                .to_owned(),
        );
    }
    let mut settings = Settings {
        given: BTreeMap::new(),
        echo: !query.contains('@') && !query.split('&').any(|pair| pair.starts_with("password")),
        env: context.env,
    };
    if let Some(credentials) = credentials {
        let (user, password) = match credentials.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (credentials, None),
        };
        settings.give("user", decode(user, style, "the user name")?);
        if let Some(password) = password {
            settings.give("password", decode(password, style, "the password")?);
        }
    }
    read_authority(authority, style, &mut settings)?;
    settings.give("dbname", decode(path, style, "the database name")?);
    read_query(query, style, &mut settings)?;
    complete(&settings, context)
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
fn read_authority(authority: &str, style: Style, settings: &mut Settings) -> Result<(), String> {
    let mut hosts = vec![];
    let mut ports = vec![];
    for part in authority.split(',') {
        let (host, port) = split_port(part)?;
        hosts.push(decode(host, style, "the host")?);
        ports.push(decode(port, style, "the port")?);
    }
    settings.give_list("host", &hosts);
    settings.give_list("port", &ports);
    // Before the query is looked at: a port that is none may be the start of a password.
    for port in ports {
        read_port(&port, "the URL's port")?;
    }
    Ok(())
}

fn split_port(part: &str) -> Result<(&str, &str), String> {
    if let Some(inner) = part.strip_prefix('[') {
        let (address, behind) =
            inner.split_once(']').ok_or("an IPv6 address lacks its closing bracket")?;
        return match behind.strip_prefix(':') {
            Some(port) => Ok((address, port)),
            None if behind.is_empty() => Ok((address, "")),
            None => Err("something other than a port follows an IPv6 address".to_owned()),
        };
    }
    Ok(part.split_once(':').unwrap_or((part, "")))
}

fn read_query(query: &str, style: Style, settings: &mut Settings) -> Result<(), String> {
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
        let Some((known, _)) = PARAMETERS.iter().find(|(known, _)| *known == name) else {
            return Err(unknown_parameter(&name, settings.echo));
        };
        if seen.contains(known) {
            return Err(format!("the parameter {known} stands in it twice"));
        }
        seen.push(known);
        settings.give(known, value);
    }
    read_repeated_hosts(&hosts, settings)
}

/// Other names for `sslmode`: JDBC's `ssl=true`, which libpq reads too, and asyncpg's `ssl=MODE`.
fn known_as(name: String, value: String) -> (String, String) {
    match (name.as_str(), value.as_str()) {
        ("ssl", "true") => ("sslmode".to_owned(), "require".to_owned()),
        ("ssl", _) => ("sslmode".to_owned(), value),
        _ => (name, value),
    }
}

fn unknown_parameter(name: &str, echo: bool) -> String {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
    if echo && plain && !name.is_empty() {
        format!(
            "the parameter {name} is not supported; taskmon needs a URL of its own without it (TASKMON_DATABASE_URL)"
        )
    } else {
        "something behind the ? is not a parameter that taskmon knows; a ? or / in a password is written %3F or %2F"
            .to_owned()
    }
}

/// SQLAlchemy's `?host=h1:5432&host=h2:5433`.
fn read_repeated_hosts(values: &[String], settings: &mut Settings) -> Result<(), String> {
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
    settings.give_list("host", &hosts);
    if !ports.iter().all(String::is_empty) {
        settings.give_list("port", &ports);
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

/// What the URL gives, and the variables that fill the rest.
struct Settings<'a> {
    given: BTreeMap<&'static str, String>,
    /// Whether an error may repeat a value of the query.
    echo: bool,
    env: &'a dyn Fn(&str) -> Option<String>,
}

/// A value and where it comes from, for errors.
struct Value {
    text: String,
    source: String,
    echo: bool,
}

impl Value {
    fn refuse(&self, expected: &str) -> String {
        let Value { text, source, echo } = self;
        if *echo {
            format!("{source} is {text:?}; {expected}")
        } else {
            format!("{source} has a value that does not fit; {expected}")
        }
    }

    fn number<T: std::str::FromStr>(&self, expected: &str) -> Result<T, String> {
        self.text.trim().parse().map_err(|_| self.refuse(expected))
    }

    /// One of the words, or an error that lists them.
    fn one_of<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, String> {
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == self.text) {
            return Ok(*meaning);
        }
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        Err(self.refuse(&format!("supported: {}", words.join(", "))))
    }
}

impl Settings<'_> {
    /// A later one replaces an earlier one: the query beats the parts before it. An empty value leaves the
    /// parameter to its variable or default.
    fn give(&mut self, name: &'static str, value: String) {
        if !value.is_empty() {
            self.given.insert(name, value);
        }
    }

    /// A list of which every part is empty gives nothing.
    fn give_list(&mut self, name: &'static str, values: &[String]) {
        if !values.iter().all(String::is_empty) {
            self.given.insert(name, values.join(","));
        }
    }

    fn get(&self, name: &str) -> Option<Value> {
        if let Some(text) = self.given.get(name) {
            // Host and port may stand where a password was meant to be.
            let echo = self.echo && !["host", "port", "user", "password", "dbname"].contains(&name);
            return Some(Value { text: text.clone(), source: format!("the URL's {name}"), echo });
        }
        let (_, variable) = PARAMETERS.iter().find(|(known, _)| *known == name)?;
        let text = (self.env)(variable).filter(|_| !variable.is_empty())?;
        Some(Value { text, source: format!("the variable {variable}"), echo: name != "password" })
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(|value| value.text)
    }

    /// A path, from `base_dir`.
    fn path(&self, name: &str, base_dir: &Path) -> Option<PathBuf> {
        self.text(name).map(|path| base_dir.join(path))
    }

    fn one_of<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, String> {
        self.get(name).map(|value| value.one_of(words)).transpose()
    }
}

/// Fills in what neither the URL nor a variable gives.
fn complete(settings: &Settings, context: &UrlContext) -> Result<PostgresTarget, String> {
    refuse_what_cannot_be_honoured(settings)?;
    let user = match settings.text("user") {
        Some(user) => user,
        None => system_user(context.env)?,
    };
    let database = settings.text("dbname").unwrap_or_else(|| user.clone());
    let mut hosts = read_hosts(settings)?;
    give_passwords(&mut hosts, &user, &database, settings, context);
    let (ssl_mode, root_certificate) = read_ssl(settings, context)?;
    Ok(PostgresTarget {
        hosts,
        ssl_mode,
        root_certificate,
        client_certificate: read_client_certificate(settings, context)?,
        tls13_only: settings.one_of("ssl_min_protocol_version", MIN_TLS)? == Some(true),
        channel_binding: settings
            .one_of("channel_binding", CHANNEL_BINDINGS)?
            .unwrap_or(ChannelBinding::Prefer),
        application_name: settings
            .text("application_name")
            .or_else(|| settings.text("fallback_application_name"))
            .unwrap_or_else(|| "taskmon".to_owned()),
        options: settings.text("options"),
        session: settings
            .one_of("target_session_attrs", SESSIONS)?
            .unwrap_or(SessionAttributes::Any),
        connect_timeout: read_connect_timeout(settings, context)?,
        keepalive: read_keepalive(settings)?,
        user,
        database,
    })
}

const SSL_MODES: &[(&str, SslMode)] = &[
    ("disable", SslMode::Disable),
    ("allow", SslMode::Allow),
    ("prefer", SslMode::Prefer),
    ("require", SslMode::Require),
    ("verify-ca", SslMode::VerifyCa),
    ("verify-full", SslMode::VerifyFull),
];

/// Whether TLS 1.3 is demanded. rustls has nothing below 1.2.
const MIN_TLS: &[(&str, bool)] =
    &[("TLSv1", false), ("TLSv1.1", false), ("TLSv1.2", false), ("TLSv1.3", true)];

const CHANNEL_BINDINGS: &[(&str, ChannelBinding)] = &[
    ("disable", ChannelBinding::Disable),
    ("prefer", ChannelBinding::Prefer),
    ("require", ChannelBinding::Require),
];

const SESSIONS: &[(&str, SessionAttributes)] = &[
    ("any", SessionAttributes::Any),
    ("read-write", SessionAttributes::ReadWrite),
    ("read-only", SessionAttributes::ReadOnly),
    ("primary", SessionAttributes::Primary),
    ("standby", SessionAttributes::Standby),
    ("prefer-standby", SessionAttributes::PreferStandby),
];

/// Of some parameters only the value that changes nothing can be had.
const ONLY: &[(&str, &[(&str, ())])] = &[
    ("gssencmode", &[("disable", ()), ("prefer", ())]),
    ("ssl_max_protocol_version", &[("TLSv1.3", ())]),
    ("sslnegotiation", &[("postgres", ())]),
    // Every libpq of today accepts both and compresses nothing.
    ("sslcompression", &[("0", ()), ("1", ())]),
    ("sslsni", &[("1", ())]),
    ("load_balance_hosts", &[("disable", ())]),
    ("replication", &[("false", ()), ("off", ()), ("no", ()), ("0", ())]),
];

fn refuse_what_cannot_be_honoured(settings: &Settings) -> Result<(), String> {
    for (name, words) in ONLY {
        settings.one_of(name, words)?;
    }
    for variable in REFUSED_VARIABLES {
        if (settings.env)(variable).is_some() {
            return Err(format!(
                "the variable {variable} is set, and taskmon does not support what it asks for; unset it for taskmon"
            ));
        }
    }
    if let Some(encoding) = settings.get("client_encoding") {
        let plain = encoding.text.to_ascii_lowercase().replace(['-', '_'], "");
        if !["utf8", "unicode", "auto"].contains(&plain.as_str()) {
            return Err(encoding.refuse("taskmon always speaks UTF-8"));
        }
    }
    Ok(())
}

/// The operating system's name for the effective user, as libpq has it; cron sets no `USER` everywhere.
fn system_user(env: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    whoami::username()
        .ok()
        .filter(|name| !name.is_empty())
        .or_else(|| env("USER"))
        .or_else(|| env("LOGNAME"))
        .ok_or_else(|| "it names no user, and this process's user has no name either".to_owned())
}

fn read_hosts(settings: &Settings) -> Result<Vec<Host>, String> {
    let list = |name| -> Vec<String> {
        let text = settings.text(name).unwrap_or_default();
        text.split(',').map(|part| part.trim().to_owned()).collect()
    };
    let (names, addresses, ports) = (list("host"), list("hostaddr"), list("port"));
    let count = names.len().max(addresses.len());
    let fits = |len: usize| len == count || len == 1;
    if !fits(ports.len()) {
        return Err(format!(
            "{} ports do not fit {count} hosts: one for all, or one each",
            ports.len()
        ));
    }
    let given = |name: &str| settings.get(name).is_some();
    if given("host") && given("hostaddr") && names.len() != addresses.len() {
        return Err(format!(
            "{} values of hostaddr do not fit {} hosts",
            addresses.len(),
            names.len()
        ));
    }
    let port_source = settings.get("port").map(|value| value.source);
    let port_source = port_source.unwrap_or_default();
    (0..count)
        .map(|i| {
            let part = |list: &[String]| list.get(i).or(list.first()).cloned().unwrap_or_default();
            let port = read_port(&part(&ports), &port_source)?;
            read_host(part(&names), &part(&addresses), port)
        })
        .collect()
}

/// An empty one is the default. The error does not repeat the text, which may be part of a password.
fn read_port(text: &str, source: &str) -> Result<u16, String> {
    if text.is_empty() {
        return Ok(DEFAULT_PORT);
    }
    match text.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(format!(
            "{source} is not a number from 1 to 65535 (in a password : is written %3A, / %2F and @ %40; an IPv6 address stands in brackets)"
        )),
    }
}

fn read_host(name: String, address: &str, port: u16) -> Result<Host, String> {
    let address = match address {
        "" => None,
        text => {
            let parsed: Result<IpAddr, _> = text.parse();
            Some(parsed.map_err(|_| "the value of hostaddr is not an IP address".to_owned())?)
        }
    };
    if name.starts_with('@') {
        return Err(
            "sockets in the abstract namespace (a host with a leading @) are not supported"
                .to_owned(),
        );
    }
    let name = match address {
        _ if !name.is_empty() => name,
        Some(address) => address.to_string(),
        None => default_host(Path::new(SOCKET_FOLDER), port),
    };
    Ok(Host { name, address, port, password: None })
}

/// The socket of this machine's server if there is one, else `localhost`.
fn default_host(folder: &Path, port: u16) -> String {
    if folder.join(format!(".s.PGSQL.{port}")).exists() {
        folder.display().to_string()
    } else {
        "localhost".to_owned()
    }
}

/// The URL's or `PGPASSWORD` for every host, else each host's own from the password file.
fn give_passwords(
    hosts: &mut [Host],
    user: &str,
    database: &str,
    settings: &Settings,
    context: &UrlContext,
) {
    if let Some(password) = settings.text("password") {
        for host in hosts {
            host.password = Some(password.clone());
        }
        return;
    }
    let path =
        settings.path("passfile", context.base_dir).or_else(|| home_file(context, ".pgpass"));
    let Some(path) = path else { return };
    let passfile = Passfile::read(&path);
    for host in hosts {
        host.password = passfile.password(&host.name, host.port, database, user).map(str::to_owned);
    }
}

fn home_file(context: &UrlContext, name: &str) -> Option<PathBuf> {
    let home = (context.env)("HOME")?;
    Some(context.base_dir.join(home).join(name))
}

fn read_ssl(
    settings: &Settings,
    context: &UrlContext,
) -> Result<(SslMode, RootCertificate), String> {
    let mode = settings.one_of("sslmode", SSL_MODES)?;
    let system = settings.text("sslrootcert").as_deref() == Some("system");
    if system {
        // Anyone can get a certificate from these authorities, so only the host name says whose it is.
        return match mode {
            None | Some(SslMode::VerifyFull) => {
                let bundle = (context.env)("SSL_CERT_FILE").map(|path| context.base_dir.join(path));
                Ok((SslMode::VerifyFull, RootCertificate::System(bundle)))
            }
            Some(mode) => Err(format!(
                "sslrootcert=system does not go with sslmode={}; only with verify-full",
                mode.name()
            )),
        };
    }
    let root = match settings.path("sslrootcert", context.base_dir) {
        Some(path) => RootCertificate::File(path),
        None => RootCertificate::Default(home_file(context, ".postgresql/root.crt")),
    };
    Ok((mode.unwrap_or(SslMode::Prefer), root))
}

/// The two files, each from its parameter or, as libpq has it, from `~/.postgresql` if a certificate is there.
fn read_client_certificate(
    settings: &Settings,
    context: &UrlContext,
) -> Result<Option<ClientCertificate>, String> {
    let certificate = settings
        .path("sslcert", context.base_dir)
        .or_else(|| home_file(context, ".postgresql/postgresql.crt").filter(|path| path.exists()));
    let key = settings
        .path("sslkey", context.base_dir)
        .or_else(|| home_file(context, ".postgresql/postgresql.key"));
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some(ClientCertificate { certificate, key })),
        (Some(_), None) => Err("sslcert is given and sslkey is not".to_owned()),
        (None, _) if settings.get("sslkey").is_some() => {
            Err("sslkey is given and sslcert is not".to_owned())
        }
        (None, _) => Ok(None),
    }
}

fn read_connect_timeout(settings: &Settings, context: &UrlContext) -> Result<Duration, String> {
    let expected = "it must be a whole number of seconds from 1 (taskmon never waits for ever)";
    match settings.get("connect_timeout") {
        None => Ok(context.connect_timeout),
        Some(value) => match value.number::<u32>(expected)? {
            0 => Err(value.refuse(expected)),
            seconds => Ok(Duration::from_secs(seconds.into())),
        },
    }
}

/// As in libpq, 0 leaves a value to the system; taskmon's own values stand in for it where that would be hours.
fn read_keepalive(settings: &Settings) -> Result<Keepalive, String> {
    let number = |name: &str| -> Result<Option<u32>, String> {
        let Some(value) = settings.get(name) else {
            return Ok(None);
        };
        let number: i64 = value.number("it must be a whole number")?;
        // libpq reads a negative number as 0.
        let number = u32::try_from(number.max(0)).map_err(|_| value.refuse("it is too large"))?;
        Ok(Some(number))
    };
    let default = Keepalive::default();
    let seconds = |name: &str, default: Duration| {
        let given = number(name)?.filter(|number| *number > 0);
        Ok::<_, String>(given.map_or(default, |number| Duration::from_secs(number.into())))
    };
    Ok(Keepalive {
        enabled: number("keepalives")? != Some(0),
        idle: seconds("keepalives_idle", default.idle)?,
        interval: seconds("keepalives_interval", default.interval)?,
        count: number("keepalives_count")?.filter(|number| *number > 0).unwrap_or(default.count),
        user_timeout: match number("tcp_user_timeout")? {
            None => default.user_timeout,
            Some(0) => None,
            Some(milliseconds) => Some(Duration::from_millis(milliseconds.into())),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::super::target::Target;
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn parse_with(url: &str, variables: &[(&str, &str)]) -> Result<Target, String> {
        let env = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let context = UrlContext {
            env: &env,
            base_dir: Path::new("/base"),
            connect_timeout: Duration::from_secs(10),
        };
        Target::parse(url, &context)
    }

    fn postgres(url: &str, variables: &[(&str, &str)]) -> PostgresTarget {
        match parse_with(url, variables) {
            Ok(Target::Postgres(target)) => *target,
            other => panic!("{url}: {other:?}"),
        }
    }

    fn refusal(url: &str, variables: &[(&str, &str)]) -> String {
        match parse_with(url, variables) {
            Err(message) => message,
            Ok(target) => panic!("{url} was accepted: {target:?}"),
        }
    }

    /// Hosts with their passwords, in one line.
    fn hosts(target: &PostgresTarget) -> String {
        let show = |host: &Host| match &host.password {
            Some(password) => format!("{}={password}", host.display()),
            None => host.display(),
        };
        let hosts: Vec<String> = target.hosts.iter().map(show).collect();
        hosts.join(" ")
    }

    #[test]
    fn a_url_gives_host_user_password_and_database() {
        for (url, expected_hosts, user, database) in [
            ("postgres://u:p@h/d", "h:5432=p", "u", "d"),
            ("postgresql://u@h:6000/d", "h:6000", "u", "d"),
            ("POSTGRESQL://u@h/d", "h:5432", "u", "d"),
            (" postgresql://u@h/d\n", "h:5432", "u", "d"),
            ("postgresql://u@h", "h:5432", "u", "u"),
            ("postgresql://u:@h/", "h:5432", "u", "u"),
            (
                "postgresql://u%40x:s3cret%3Ap%40ss%2F%25@h/my%20db",
                "h:5432=s3cret:p@ss/%",
                "u@x",
                "my db",
            ),
            ("postgresql://u:a:b?c#d@h/d", "h:5432=a:b?c#d", "u", "d"),
            ("postgresql://u@[::1]/d", "[::1]:5432", "u", "d"),
            ("postgresql://u@[fe80::1]:6000/d", "[fe80::1]:6000", "u", "d"),
            ("postgresql://u:p@h1:1,h2:2/d", "h1:1=p h2:2=p", "u", "d"),
            ("postgresql://u@h1,[::1]:2,h3/d", "h1:5432 [::1]:2 h3:5432", "u", "d"),
            ("postgresql://u@h1,h2/d?port=7", "h1:7 h2:7", "u", "d"),
            ("postgresql://u@%2Fvar%2Frun%2Fpg/d", "/var/run/pg/.s.PGSQL.5432", "u", "d"),
            ("postgresql://u@%2Frun%2Fpg:6000/d", "/run/pg/.s.PGSQL.6000", "u", "d"),
            ("postgresql://u@/d?host=/run/pg", "/run/pg/.s.PGSQL.5432", "u", "d"),
            (
                "postgresql:///d?host=h&user=u&password=a@b+c%20d&port=6000",
                "h:6000=a@b+c d",
                "u",
                "d",
            ),
            ("postgresql://x:y@h/e?user=u&password=p&dbname=d&host=g", "g:5432=p", "u", "d"),
            ("postgresql://u@name/d?hostaddr=10.0.0.7", "name:5432", "u", "d"),
            ("postgresql://u@/d?hostaddr=10.0.0.7", "10.0.0.7:5432", "u", "d"),
            ("postgresql://u@h/a/b", "h:5432", "u", "a/b"),
            ("postgresql+psycopg2://u:p/w?x%zz%41@h/d", "h:5432=p/w?x%zzA", "u", "d"),
            ("postgres+asyncpg://u:p@h:6000/d?ssl=require", "h:6000=p", "u", "d"),
            ("postgresql+psycopg://u:p@/d?host=h1:1&host=h2:2", "h1:1=p h2:2=p", "u", "d"),
            ("postgresql+psycopg2://u@/d?host=/run/pg", "/run/pg/.s.PGSQL.5432", "u", "d"),
            ("postgresql+psycopg2://u@/d?host=h&password=a+b", "h:5432=a b", "u", "d"),
        ] {
            let target = postgres(url, &[]);
            assert_eq!(hosts(&target), expected_hosts, "{url}");
            assert_eq!((target.user.as_str(), target.database.as_str()), (user, database), "{url}");
        }
    }

    #[test]
    fn parameters_beyond_the_host_are_read() {
        let target = postgres(
            "postgresql://u@h/d?sslmode=verify-ca&sslrootcert=ca.pem&application_name=a%20b\
             &options=-c%20search_path%3Djobs&connect_timeout=3&target_session_attrs=prefer-standby\
             &client_encoding=UTF-8&gssencmode=prefer&channel_binding=require&sslcert=/c.pem&sslkey=k.pem\
             &keepalives=0&keepalives_idle=1&keepalives_interval=2&keepalives_count=4&tcp_user_timeout=5000\
             &ssl_min_protocol_version=TLSv1.3",
            &[],
        );
        assert_eq!(target.ssl_mode, SslMode::VerifyCa);
        assert_eq!(target.root_certificate, RootCertificate::File("/base/ca.pem".into()));
        assert_eq!(target.application_name, "a b");
        assert_eq!(target.options.as_deref(), Some("-c search_path=jobs"));
        assert_eq!(target.connect_timeout, Duration::from_secs(3));
        assert_eq!(target.session, SessionAttributes::PreferStandby);
        assert_eq!(target.channel_binding, ChannelBinding::Require);
        let certificate = target.client_certificate.unwrap();
        assert_eq!(certificate.certificate, Path::new("/c.pem"));
        assert_eq!(certificate.key, Path::new("/base/k.pem"));
        assert!(target.tls13_only);
        let expected = Keepalive {
            enabled: false,
            idle: Duration::from_secs(1),
            interval: Duration::from_secs(2),
            count: 4,
            user_timeout: Some(Duration::from_secs(5)),
        };
        assert_eq!(target.keepalive, expected);
    }

    #[test]
    fn what_nobody_gives_has_defaults() {
        let target = postgres("postgresql://u@h/d", &[("HOME", "/home/u")]);
        assert_eq!(target.ssl_mode, SslMode::Prefer);
        let root = Path::new("/home/u/.postgresql/root.crt").to_owned();
        assert_eq!(target.root_certificate, RootCertificate::Default(Some(root)));
        assert_eq!(target.application_name, "taskmon");
        assert_eq!(target.connect_timeout, Duration::from_secs(10));
        assert_eq!(target.keepalive, Keepalive::default());
        assert_eq!(target.client_certificate, None);
        assert_eq!(target.options, None);
        assert_eq!(target.session, SessionAttributes::Any);
        assert!(!target.tls13_only);
    }

    #[test]
    fn a_url_beats_a_variable_and_a_variable_beats_the_default() {
        let variables = [
            ("PGHOST", "eh"),
            ("PGPORT", "7000"),
            ("PGUSER", "eu"),
            ("PGPASSWORD", "ep"),
            ("PGDATABASE", "ed"),
            ("PGSSLMODE", "disable"),
            ("PGSSLROOTCERT", "/e.pem"),
            ("PGAPPNAME", "ea"),
            ("PGOPTIONS", "eo"),
            ("PGCONNECT_TIMEOUT", "4"),
        ];
        let target = postgres("postgresql://", &variables);
        assert_eq!(hosts(&target), "eh:7000=ep");
        assert_eq!((target.user.as_str(), target.database.as_str()), ("eu", "ed"));
        assert_eq!(target.ssl_mode, SslMode::Disable);
        assert_eq!(target.root_certificate, RootCertificate::File("/e.pem".into()));
        assert_eq!(target.application_name, "ea");
        assert_eq!(target.options.as_deref(), Some("eo"));
        assert_eq!(target.connect_timeout, Duration::from_secs(4));

        let target = postgres(
            "postgresql://u:p@h:1/d?sslmode=require&sslrootcert=/u.pem&application_name=a&options=o&connect_timeout=5",
            &variables,
        );
        assert_eq!(hosts(&target), "h:1=p");
        assert_eq!((target.user.as_str(), target.database.as_str()), ("u", "d"));
        assert_eq!(target.ssl_mode, SslMode::Require);
        assert_eq!(target.root_certificate, RootCertificate::File("/u.pem".into()));
        assert_eq!(target.application_name, "a");
        assert_eq!(target.options.as_deref(), Some("o"));
        assert_eq!(target.connect_timeout, Duration::from_secs(5));
    }

    #[test]
    fn a_list_of_hosts_may_come_from_variables() {
        let target = postgres("postgresql://u@/d", &[("PGHOST", "a,b"), ("PGPORT", "1,2")]);
        assert_eq!(hosts(&target), "a:1 b:2");
        let message = refusal("postgresql://u@a,b,c/d", &[("PGPORT", "1,2")]);
        assert!(message.contains("2 ports do not fit 3 hosts"), "{message}");
    }

    #[test]
    fn the_user_defaults_to_that_of_the_operating_system_and_names_the_database() {
        let target = postgres("postgresql://h", &[("USER", "not-this-one")]);
        let expected = whoami::username().unwrap();
        assert_eq!(target.user, expected);
        assert_eq!(target.database, expected);
    }

    #[test]
    fn without_a_host_the_socket_is_taken_if_it_is_there() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(default_host(folder.path(), 5432), "localhost");
        fs::write(folder.path().join(".s.PGSQL.5432"), "").unwrap();
        assert_eq!(default_host(folder.path(), 5432), folder.path().display().to_string());
        assert_eq!(default_host(folder.path(), 5433), "localhost");
    }

    #[test]
    fn the_password_file_serves_each_host_where_no_password_is_given() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join(".pgpass");
        fs::write(&path, "a:1:d:u:one\n*:2:*:*:two\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let home = home.path().to_str().unwrap();
        let url = "postgresql://u@a:1,b:2,c:3/d";
        assert_eq!(hosts(&postgres(url, &[("HOME", home)])), "a:1=one b:2=two c:3");
        let given = [("HOME", home), ("PGPASSWORD", "p")];
        assert_eq!(hosts(&postgres(url, &given)), "a:1=p b:2=p c:3=p");
        let elsewhere = [("HOME", home), ("PGPASSFILE", "/nowhere/pgpass")];
        assert_eq!(hosts(&postgres(url, &elsewhere)), "a:1 b:2 c:3");
        let named = format!("{url}?passfile={}", path.display());
        assert_eq!(hosts(&postgres(&named, &[])), "a:1=one b:2=two c:3");
    }

    #[test]
    fn the_systems_certificates_demand_the_host_name() {
        let url = "postgresql://u@h/d?sslrootcert=system";
        let target = postgres(url, &[("SSL_CERT_FILE", "/bundle.pem")]);
        assert_eq!(target.ssl_mode, SslMode::VerifyFull);
        assert_eq!(target.root_certificate, RootCertificate::System(Some("/bundle.pem".into())));
        let message = refusal(&format!("{url}&sslmode=require"), &[]);
        assert!(
            message.contains("sslmode=require") && message.contains("verify-full"),
            "{message}"
        );
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_by_name() {
        for (query, named) in [
            ("service=x", "service"),
            ("requirepeer=postgres", "requirepeer"),
            ("sslcrl=/x", "sslcrl"),
            ("sslpassword=x", "sslpassword"),
            ("require_auth=md5", "require_auth"),
            ("schema=public", "schema"),
            ("gssencmode=require", "gssencmode"),
            ("client_encoding=LATIN1", "client_encoding"),
            ("load_balance_hosts=random", "load_balance_hosts"),
            ("sslnegotiation=direct", "sslnegotiation"),
            ("ssl_max_protocol_version=TLSv1.2", "ssl_max_protocol_version"),
            ("sslsni=0", "sslsni"),
            ("replication=database", "replication"),
            ("sslmode=on", "sslmode"),
            ("ssl=maybe", "sslmode"),
            ("target_session_attrs=writable", "target_session_attrs"),
            ("channel_binding=x", "channel_binding"),
            ("connect_timeout=0", "connect_timeout"),
            ("connect_timeout=soon", "connect_timeout"),
            ("keepalives_idle=x", "keepalives_idle"),
            ("hostaddr=name", "hostaddr"),
            ("sslkey=/k", "sslkey"),
            ("sslcert=/c", "sslkey"),
            ("sslmode=require&sslmode=disable", "sslmode"),
            ("host=@abstract", "abstract"),
        ] {
            let message = refusal(&format!("postgresql://u@h/d?{query}"), &[]);
            assert!(message.contains(named), "{query}: {message}");
        }
        for (variable, value) in [
            ("PGSERVICE", "x"),
            ("PGREQUIREPEER", "x"),
            ("PGSSLCRL", "/x"),
            ("PGGSSENCMODE", "require"),
            ("PGSSLMODE", "on"),
            ("PGCONNECT_TIMEOUT", "soon"),
            ("PGPORT", "soon"),
        ] {
            let message = refusal("postgresql://u@h/d", &[(variable, value)]);
            assert!(message.contains(variable), "{variable}: {message}");
        }
    }

    #[test]
    fn no_error_repeats_a_password() {
        // Every piece of a password between its special characters is long enough to be recognised.
        let passwords = [
            "alpha@bravo",
            "alpha:bravo",
            "alpha/bravo",
            "alpha%bravo",
            "alpha%zzbravo",
            "alpha%ffbravo",
            "alpha?bravo",
            "alpha?bravo=charlie",
            "alpha/bravo?charlie=delta",
            "alpha&bravo",
            "alpha#bravo",
            "alpha@bravo/charlie",
            "alpha/bravo@charlie",
            "alpha@bravo:charlie",
            "[alpha]bravo",
            "alpha@[bravo",
            "12345/alpha",
            "12345/alpha?bravo=charlie",
            "12345?sslmode=alpha",
            "12345/alpha?sslmode=bravo",
            "12345@alpha/bravo?sslmode=charlie",
            "alpha,bravo",
            "@alpha",
            "/alpha",
            "%alpha",
            "alpha\0bravo",
            "alpha bravo",
            "12345/alpha?connect_timeout=bravo",
        ];
        let frames = [
            "postgres://u:PASSWORD@host:notaport/db",
            "postgres://u:PASSWORD@host/db?sslmode=wrong",
            "postgres://u:PASSWORD@host/db?nonsense=1",
            "postgres://u:PASSWORD@host/%zz",
            "postgres://u:PASSWORD",
            "postgresql+psycopg2://u:PASSWORD@host:notaport/db",
            "postgresql+psycopg2://u:PASSWORD@host/db?sslmode=wrong",
            "postgresql://host/db?password=PASSWORD&sslmode=wrong",
            "postgresql://host/db?sslmode=wrong&password=PASSWORD",
            "postgres:u:PASSWORD@host/db",
            "u:PASSWORD@host/db",
            "mysql://u:PASSWORD@host/db",
            "PASSWORD://u@host/db",
            "host=h user=u password=PASSWORD",
        ];
        let mut refused = 0;
        for frame in frames {
            for password in passwords {
                // Without an @ these read as a host, a port and a query.
                if frame.ends_with("u:PASSWORD") && password.starts_with("12345") {
                    continue;
                }
                let url = frame.replace("PASSWORD", password);
                let Err(message) = parse_with(&url, &[]) else {
                    continue;
                };
                refused += 1;
                for word in ["alpha", "bravo", "charlie", "delta", "12345"] {
                    assert!(!message.contains(word), "{url}: {message}");
                }
            }
        }
        assert!(refused > 250, "{refused}");
        let message = refusal("postgresql://u@h/d?sslmode=x", &[("PGPASSWORD", "alpha")]);
        assert!(!message.contains("alpha"), "{message}");
    }

    #[test]
    fn a_stray_at_sign_is_named_as_such() {
        for url in [
            "postgres://u:p@ss@host:notaport/db",
            "postgres://u:p/ss@host/db",
            "postgres://u:12/34@host/db",
        ] {
            let message = refusal(url, &[]);
            assert!(message.contains("%40"), "{url}: {message}");
        }
    }

    #[test]
    fn debug_masks_every_password() {
        let target = parse_with("postgresql://u:s3cret@h,g/d?options=s3cret", &[]);
        let shown = format!("{target:?} {target:#?}");
        assert!(shown.contains("password: set"), "{shown}");
        assert!(!shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn a_target_displays_as_a_url_without_password() {
        for (url, expected) in [
            ("postgres://u:p@h/d", "postgresql://u@h:5432/d"),
            ("postgres://u%40x:p@[::1]:1,h:2/a%2Fb", "postgresql://u%40x@[::1]:1,h:2/a%2Fb"),
            ("postgres://u:p@/d?host=/run/pg", "postgresql://u@/d?host=/run/pg&port=5432"),
            ("sqlite:/data/jobs.db", "sqlite:/data/jobs.db"),
        ] {
            assert_eq!(parse_with(url, &[]).unwrap().display(), expected);
        }
    }

    #[test]
    fn sqlite_urls_name_a_file() {
        for (url, expected) in [
            ("sqlite:jobs.db", "/base/jobs.db"),
            ("sqlite:../jobs.db", "/base/../jobs.db"),
            ("sqlite:./jobs.db", "/base/jobs.db"),
            ("sqlite:/data/jobs.db", "/data/jobs.db"),
            ("sqlite:///jobs.db", "/base/jobs.db"),
            ("sqlite:////data/jobs.db", "/data/jobs.db"),
            ("sqlite+aiosqlite:///jobs.db", "/base/jobs.db"),
            ("sqlite+pysqlite:////data/a%20b.db?check_same_thread=false", "/data/a%20b.db"),
            ("sqlite:jobs.db?mode=rw", "/base/jobs.db"),
            ("SQLITE:jobs.db", "/base/jobs.db"),
        ] {
            let path = Path::new(expected).to_owned();
            assert_eq!(parse_with(url, &[]), Ok(Target::Sqlite(path)), "{url}");
        }
    }

    #[test]
    fn a_sqlite_url_may_forbid_writing() {
        let url = "sqlite:jobs.db?cache=shared&mode=ro";
        let target = parse_with(url, &[]).unwrap();
        assert_eq!(target, Target::SqliteReadOnly("/base/jobs.db".into()));
        assert_eq!(target.display(), "sqlite:/base/jobs.db?mode=ro");
    }

    #[test]
    fn sqlite_urls_without_a_file_are_refused() {
        for (url, named) in [
            ("sqlite:", "no file"),
            ("sqlite://", "no file"),
            ("sqlite:///", "no file"),
            ("sqlite::memory:", "in memory"),
            ("sqlite:///:memory:", "in memory"),
            ("sqlite:jobs.db?mode=memory", "mode=memory"),
            ("sqlite:jobs.db?nonsense=1", "nonsense"),
            ("sqlite://jobs.db", "two slashes"),
            ("sqlite:///file:jobs.db?uri=true", "uri"),
            ("sqlite:file:jobs.db", "file:"),
            ("sqlite:/data/", "folder"),
            ("sqlite+aiosqlite:jobs.db", "sqlite:///"),
            ("sqlite+pysqlcipher://:key@/jobs.db", "encrypted"),
        ] {
            let message = refusal(url, &[]);
            assert!(message.contains(named), "{url}: {message}");
        }
    }

    #[test]
    fn other_schemes_are_refused_by_name() {
        let message = refusal("mysql://u:secret@h/d", &[]);
        assert!(message.contains("mysql://") && message.contains("postgresql://"), "{message}");
        assert!(message.contains("sqlite:"), "{message}");
        for url in ["", "jobs.db", "host=h dbname=d", "//h/d", "postgres"] {
            assert!(refusal(url, &[]).contains("scheme"), "{url}");
        }
        assert!(refusal("postgres:h/d", &[]).contains("postgresql://"));
    }
}
