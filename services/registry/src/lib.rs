//! Schema registry with the Confluent REST interface, stored in Kafka
