//! Misuse does not compile, and the compiler says why.
//!
//! The messages are part of the product: review a changed `.stderr` as you would review prose
//! (`TRYBUILD=overwrite cargo test -p misuse`).

#[test]
fn misuse_does_not_compile() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("cases/*.rs");
}
