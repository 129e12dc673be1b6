//! The command `efd`.

fn main() -> std::process::ExitCode {
    efd::main()
}
