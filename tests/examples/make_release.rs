//! Writes a made-up release of the interfaces, as large as ts_xml 28, into a new folder: for measurements by hand.

fn main() -> std::io::Result<()> {
    let folder = std::env::args_os().nth(1).unwrap_or_else(|| "made-up-release".into());
    efd_tests::write_release(folder.as_ref(), &efd_tests::interfaces().join("SALGenerics.xml"))
}
