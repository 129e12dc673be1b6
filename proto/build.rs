//! Compiles the contracts without a `protoc` on the machine: Rust code, and one descriptor set a package for reflection.

use std::error::Error;
use std::path::Path;

/// The contracts: files of one package, and the name of their descriptor set.
const PACKAGES: [(&[&str], &str); 4] = [
    (&["efd/ingest/v1/ingest.proto"], "efd.ingest.v1.bin"),
    (&["efd/query/v1/columns.proto", "efd/query/v1/query.proto"], "efd.query.v1.bin"),
    (&["efd/registry/v1/forward.proto", "efd/registry/v1/schema.proto"], "efd.registry.v1.bin"),
    (&["efd/sink/v1/sink.proto"], "efd.sink.v1.bin"),
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=efd");
    let out = std::env::var_os("OUT_DIR").ok_or("OUT_DIR is set by cargo")?;
    for (files, set_name) in PACKAGES {
        let mut compiler = protox::Compiler::new(["."])?;
        compiler.include_imports(true).include_source_info(true).open_files(files)?;
        std::fs::write(Path::new(&out).join(set_name), compiler.encode_file_descriptor_set())?;
        tonic_prost_build::compile_fds(compiler.file_descriptor_set())?;
    }
    Ok(())
}
