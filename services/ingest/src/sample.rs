//! A SAL sample on its way from a source to the producer, and the topic it belongs to.

use std::sync::Arc;

use efd_sal::{PrivateFields, Topic, Value};
use opentelemetry::trace::SpanContext;

use crate::damage::Damage;
use crate::encode::RecordPlan;
use crate::receipt::Receipt;
use crate::source::Source;

/// A topic that exists in Kafka and whose schema is registered; all its samples share it.
#[derive(Debug)]
pub struct SampleTopic {
    /// Place in the list of topics, from 0.
    pub id: usize,
    /// Place of its component in the list of components, from 0.
    pub component_id: usize,
    /// The interface.
    pub topic: Topic,
    /// `lsst.<subname>.<Component>.<sal_name>`.
    pub kafka_name: String,
    /// What `private_revCode` says.
    pub rev_code: String,
    /// How a record is laid out.
    pub plan: RecordPlan,
}

impl SampleTopic {
    /// Puts a topic together with the id that the registry gave its schema.
    pub fn new(id: usize, component_id: usize, topic: Topic, subname: &str, schema_id: u32) -> Self {
        Self {
            id,
            component_id,
            kafka_name: topic.kafka_name(subname),
            rev_code: topic.rev_code(),
            plan: RecordPlan::new(&topic, schema_id),
            topic,
        }
    }

    /// The same topic, but nobody can decode its records.
    pub fn damaged(&self, damage: Damage) -> Self {
        Self {
            id: self.id,
            component_id: self.component_id,
            topic: self.topic.clone(),
            kafka_name: self.kafka_name.clone(),
            rev_code: self.rev_code.clone(),
            plan: self.plan.clone().damaged(damage),
        }
    }

    /// What `private_identity` says when nobody says otherwise: `<Component>` or `<Component>:<salIndex>`.
    pub fn identity(&self, sal_index: Option<i32>) -> Arc<str> {
        let component = &self.topic.component;
        match sal_index {
            Some(index) => Arc::from(format!("{component}:{index}")),
            None => component.clone(),
        }
    }
}

/// What SAL adds to each sample; stamps are Unix seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Stamps {
    /// Instance of an indexed component; none for the others.
    pub sal_index: Option<i32>,
    /// Publication, TAI.
    pub snd_stamp: f64,
    /// Reception, TAI; 0 as long as nobody received the sample.
    pub rcv_stamp: f64,
    /// Publication, UTC; the time of the point in InfluxDB.
    pub efd_stamp: f64,
    /// Creation of the Kafka record, TAI.
    pub kafka_stamp: f64,
    /// 1 and up, per topic and writer.
    pub seq_num: i32,
    /// Who published it.
    pub identity: Arc<str>,
    /// Process id of the publisher.
    pub origin: i32,
}

/// One sample of telemetry, event, command or acknowledgement.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Where it goes.
    pub topic: Arc<SampleTopic>,
    /// Private fields.
    pub stamps: Stamps,
    /// One value per field of the topic that is not private, in the topic's order.
    pub values: Vec<Value>,
    /// Where it came from.
    pub source: Source,
    /// What the source waits for, if it waits for each sample.
    pub receipt: Option<Receipt>,
    /// The span in which its publisher sent it, if it said so.
    pub parent: Option<Arc<SpanContext>>,
}

impl Sample {
    /// The private fields in the form that is encoded.
    pub fn private_fields(&self) -> PrivateFields<'_> {
        PrivateFields {
            sal_index: self.stamps.sal_index,
            snd_stamp: self.stamps.snd_stamp,
            rcv_stamp: self.stamps.rcv_stamp,
            efd_stamp: self.stamps.efd_stamp,
            kafka_stamp: self.stamps.kafka_stamp,
            seq_num: self.stamps.seq_num,
            rev_code: &self.topic.rev_code,
            identity: &self.stamps.identity,
            origin: self.stamps.origin,
        }
    }
}
