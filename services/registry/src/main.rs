//! The registry as a process; see the crate's documentation.

fn main() -> std::process::ExitCode {
    efd_service::main("efd-registry", efd_registry::ABOUT, efd_registry::run)
}
