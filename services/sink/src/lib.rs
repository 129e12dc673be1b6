//! Writes Kafka records to InfluxDB and commits only what was accepted
