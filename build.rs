//! Migrations are built in, and cargo looks only at the files that the sources name: a new one has to be pointed out.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
