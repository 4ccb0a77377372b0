//! Cases that run once on each database.

/// Declares tests that run once on each database, named `on_postgres::…` and `on_sqlite::…`. Another database is one more line
/// here.
#[macro_export]
macro_rules! on_each_database {
    ($(fn $name:ident($env:ident) $body:block)*) => {
        $(fn $name($env: $crate::support::env::TestEnv) $body)*
        $crate::on_database! { on_postgres: postgres, $($name)* }
        $crate::on_database! { on_sqlite: sqlite, $($name)* }
    };
}

/// The tests of one database: their module, and the constructor of `TestEnv` that makes the database.
#[macro_export]
macro_rules! on_database {
    ($module:ident: $make:ident, $($name:ident)*) => {
        mod $module {
            $(#[test] fn $name() { super::$name($crate::support::env::TestEnv::$make()) })*
        }
    };
}
