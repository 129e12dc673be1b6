//! Takes SAL samples from its sources and produces them to Kafka
