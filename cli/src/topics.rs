//! `efd topics`: which topics there are, or the fields of one.

use std::process::ExitCode;

use efd_proto::query::v1::{GetTopicRequest, ListTopicsRequest, Topic, TopicSummary};
use tonic::Code;

use crate::command::TopicsArgs;
use crate::config::Config;
use crate::gateway::{connect, refusal, type_name};
use crate::output;
use crate::time::format_time;

/// Shows the fields of `topic` if that is one, else lists the topics whose names begin so.
pub async fn run(config: &Config, args: &TopicsArgs) -> anyhow::Result<ExitCode> {
    let mut gateway = connect(config).await?;
    let prefix = args.topic.as_deref().unwrap_or_default();
    if !prefix.is_empty() {
        match gateway.get_topic(GetTopicRequest { name: prefix.to_owned() }).await {
            Ok(answer) => {
                if let Some(topic) = answer.into_inner().topic {
                    show_fields(&topic);
                }
                return Ok(ExitCode::SUCCESS);
            }
            Err(status) if status.code() == Code::NotFound => {}
            Err(status) => return Err(refusal(&status)),
        }
    }
    let request = ListTopicsRequest {
        prefix: prefix.to_owned(),
        activity: args.activity,
        ..ListTopicsRequest::default()
    };
    let topics = gateway.list_topics(request).await.map_err(|status| refusal(&status))?.into_inner().topics;
    if topics.is_empty() {
        anyhow::bail!(
            "no topic is called {prefix}* here: `efd init` makes topics, `efd topics` lists them all"
        );
    }
    show_topics(&topics, args.activity);
    Ok(ExitCode::SUCCESS)
}

fn show_topics(topics: &[TopicSummary], with_activity: bool) {
    let titles: &[&str] = if with_activity {
        &["topic", "data", "schema", "newest", "records/s"]
    } else {
        &["topic", "data", "schema"]
    };
    let mut table = output::table(titles);
    for topic in topics {
        let mark = |has| if has { "yes" } else { "no" };
        let mut cells =
            vec![topic.name.clone(), mark(topic.has_data).to_owned(), mark(topic.has_schema).to_owned()];
        if with_activity {
            let nanos = |at: &prost_types::Timestamp| at.seconds * 1_000_000_000 + i64::from(at.nanos);
            cells.push(topic.newest.as_ref().map(|at| format_time(nanos(at))).unwrap_or_default());
            cells.push(topic.rate.map(|rate| format!("{rate:.2}")).unwrap_or_default());
        }
        table.add_row(cells);
    }
    output::print(&format!("{table}\n"));
}

fn show_fields(topic: &Topic) {
    let mut table = output::table(&["field", "type", "unit", "description"]);
    for field in &topic.fields {
        table.add_row([&field.name, &type_name(field), &field.unit, &field.description]);
    }
    let version = format!("schema {} (version {})", topic.schema_id, topic.schema_version);
    output::print(&format!("{}: {}\n{version}\n{table}\n", topic.name, topic.description.trim()));
}
