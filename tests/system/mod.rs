//! What is asked of the system, against the programs that ask it too.

mod disk;
