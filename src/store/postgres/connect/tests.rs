//! Database URLs of PostgreSQL, read as a run reads them.

use super::parameters::UrlContext;
use super::target::{Host, Keepalive, PostgresTarget, RootCertificate, SessionAttributes, SslMode};
use crate::secret::Secret;
use crate::store::target::Target;
use postgres::config::ChannelBinding;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

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
        Some(password) => format!("{}={}", host.display(), password.expose()),
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
        ("postgresql:///d?host=h&user=u&password=a@b+c%20d&port=6000", "h:6000=a@b+c d", "u", "d"),
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
    assert_eq!(target.options.as_ref().map(Secret::expose), Some("-c search_path=jobs"));
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
fn missing_settings_have_defaults() {
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
    assert_eq!(target.options.as_ref().map(Secret::expose), Some("eo"));
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
    assert_eq!(target.options.as_ref().map(Secret::expose), Some("o"));
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
    assert!(message.contains("sslmode=require") && message.contains("verify-full"), "{message}");
}

#[test]
fn a_password_file_that_is_ignored_is_a_warning_of_the_target() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join(".pgpass");
    fs::write(&path, "*:*:*:*:x\n").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let variables = [("HOME", home.path().to_str().unwrap())];
    let target = postgres("postgresql://u@h/d", &variables);
    assert_eq!(hosts(&target), "h:5432");
    let [warning] = target.warnings.as_slice() else { panic!("{:?}", target.warnings) };
    assert!(warning.contains(".pgpass is ignored: ") && warning.contains("chmod 600"), "{warning}");
    let unused = postgres("postgresql://u:p@h/d", &variables);
    assert_eq!(unused.warnings, Vec::<String>::new());
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
    assert!(shown.contains("password: Some(***)"), "{shown}");
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
