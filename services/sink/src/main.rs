//! Runs the sink; what it does stands in the library.

fn main() -> std::process::ExitCode {
    efd_service::main(
        "efd-sink",
        "Writes Kafka records to InfluxDB and commits only what was accepted",
        efd_sink::run,
    )
}
