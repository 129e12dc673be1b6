//! Redriving: letters are sent, and when Kafka has them, it is remembered which.

use std::collections::HashSet;
use std::process::ExitCode;

use anyhow::Context as _;
use efd_kafka::{Admin, OutRecord, Producer, ProducerOptions, TopicInfo, TopicSpec, dead_letter_header};
use rdkafka::error::KafkaResult;
use rdkafka::message::{Header, Message as _, OwnedHeaders};

use super::letter::{Letter, Letters};
use super::records::{Extent, Records};
use super::{CLIENT, RedriveArgs, add_row, table};
use crate::config::Config;
use crate::output;

/// Where it is remembered which records were redriven; key `<topic>/<partition>/<offset>`, of the topic that they came from.
const MEMORY: &str = "efd-dead-letters.redriven";
/// Letters that are sent, and then remembered, together.
const PART: usize = 100;
/// No letter is added to others that have so many bytes; one can be as long as Kafka takes.
const PART_BYTES: usize = 16 * 1024 * 1024;
/// What is said when a part could not be sent.
const BROKEN_OFF: &str =
    "redriving was broken off; what was redriven before is remembered, run it again for the rest";

/// Redrives the records of the letters that are chosen and were not redriven before.
pub async fn run(config: &Config, args: &RedriveArgs) -> anyhow::Result<ExitCode> {
    let mut letters = Letters::wanted(config, args.choice.filter()).await?;
    let mut chosen = Chosen { limit: args.limit, redriven: remembered(config).await?, ..Chosen::default() };
    if args.dry_run {
        let mut table = table();
        while let Some(letter) = chosen.next(&mut || letters.read())? {
            add_row(&mut table, &letter, false);
        }
        chosen.complain();
        let (now, before) = (chosen.places.len(), chosen.before);
        output::print(&format!("{table}\n{now} would be redriven, {before} were before\n"));
        return Ok(ExitCode::SUCCESS);
    }
    ensure_memory(config).await?;
    redrive_all(&producer(config)?, &mut letters, &mut chosen).await.context(BROKEN_OFF)?;
    chosen.complain();
    output::print(&format!("{} redriven, {} were before\n", chosen.places.len(), chosen.before));
    Ok(ExitCode::SUCCESS)
}

/// The places of all records that were redriven.
///
/// # Errors
/// When Kafka does not answer.
pub async fn remembered(config: &Config) -> anyhow::Result<HashSet<String>> {
    let admin = Admin::new(&config.kafka, CLIENT)?;
    let memory: Vec<TopicInfo> = admin.topic(MEMORY).await?.into_iter().collect();
    let mut places = HashSet::new();
    for extent in Extent::of(&admin, &memory).await? {
        let mut records = Records::open(config, &extent)?;
        while let Some(record) = records.read()? {
            places.insert(String::from_utf8_lossy(record.key().unwrap_or_default()).into_owned());
        }
    }
    Ok(places)
}

async fn ensure_memory(config: &Config) -> anyhow::Result<()> {
    let replication = config.replication_factor.get();
    let spec = TopicSpec { name: MEMORY.into(), partitions: 1, replication, compact: true };
    Admin::new(&config.kafka, CLIENT)?.create_topics(&[spec]).await?;
    Ok(())
}

fn producer(config: &Config) -> anyhow::Result<Producer> {
    let mut kafka = config.kafka.clone();
    // As large as the sink may have written.
    kafka.options.entry("message_max_bytes".into()).or_insert_with(|| (64 * 1024 * 1024).to_string());
    Ok(Producer::new(&kafka, CLIENT, &ProducerOptions::default())?)
}

/// Which letters are redriven: of each record the first that has the whole of it, unless the record was redriven before.
#[derive(Debug, Default)]
struct Chosen {
    /// Records at most.
    limit: Option<usize>,
    /// Places of records that were redriven before.
    redriven: HashSet<String>,
    /// Places of records that were chosen.
    places: HashSet<String>,
    /// Letters whose record was redriven before.
    before: usize,
    /// Letters whose record was chosen with another letter.
    further: usize,
    /// Letters that have only the beginning of their record.
    cut: usize,
}

impl Chosen {
    /// The next letters that are redriven together; none when all were read, or the limit is reached.
    fn part(
        &mut self,
        mut read: impl FnMut() -> anyhow::Result<Option<Letter>>,
    ) -> anyhow::Result<Vec<Letter>> {
        let (mut part, mut bytes) = (Vec::new(), 0);
        while part.len() < PART
            && bytes < PART_BYTES
            && let Some(letter) = self.next(&mut read)?
        {
            bytes += letter.bytes();
            part.push(letter);
        }
        Ok(part)
    }

    /// The next letter that is redriven.
    fn next(
        &mut self,
        read: &mut impl FnMut() -> anyhow::Result<Option<Letter>>,
    ) -> anyhow::Result<Option<Letter>> {
        while self.limit.is_none_or(|limit| self.places.len() < limit)
            && let Some(letter) = read()?
        {
            if self.takes(&letter) {
                return Ok(Some(letter));
            }
        }
        Ok(None)
    }

    fn takes(&mut self, letter: &Letter) -> bool {
        let place = letter.place();
        if self.redriven.contains(&place) {
            self.before += 1;
        } else if self.places.contains(&place) {
            self.further += 1;
        } else if letter.is_cut() {
            self.cut += 1;
        } else {
            return self.places.insert(place);
        }
        false
    }

    /// Tells of letters that were passed over.
    fn complain(&self) {
        if self.cut > 0 {
            output::complain(&format!(
                "efd dead-letters: {} are left, as only the beginning of their record is there (header {})",
                self.cut,
                dead_letter_header::CUT
            ));
        }
        if self.further > 0 {
            output::complain(&format!(
                "efd dead-letters: {} are further letters of the same records",
                self.further
            ));
        }
    }
}

async fn redrive_all(
    producer: &Producer,
    letters: &mut Letters<'_>,
    chosen: &mut Chosen,
) -> anyhow::Result<()> {
    let bar = output::progress(letters.total(), "redriving");
    loop {
        let part = chosen.part(|| letters.read())?;
        if part.is_empty() {
            bar.finish_and_clear();
            return Ok(());
        }
        redrive(producer, &part).await?;
        bar.set_position(letters.passed());
    }
}

/// Sends some letters, and remembers their records once Kafka has all.
async fn redrive(producer: &Producer, part: &[Letter]) -> KafkaResult<()> {
    let mut letters = producer.batch();
    for letter in part {
        let mut headers = OwnedHeaders::new_with_capacity(letter.headers.len());
        for (key, value) in &letter.headers {
            headers = headers.insert(Header { key, value: value.as_deref() });
        }
        let record = OutRecord {
            topic: &letter.source_topic,
            key: letter.key.as_deref(),
            payload: letter.payload.as_deref(),
            headers: Some(headers),
            ..OutRecord::default()
        };
        letters.send(record).await?;
    }
    letters.delivered().await?;
    let mut memory = producer.batch();
    for letter in part {
        let place = letter.place();
        let record = OutRecord {
            topic: MEMORY,
            key: Some(place.as_bytes()),
            payload: Some(letter.source_topic.as_bytes()),
            ..OutRecord::default()
        };
        memory.send(record).await?;
    }
    memory.delivered().await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(offset: i64, source_offset: i64) -> Letter {
        Letter {
            topic: "t.dlq".into(),
            partition: 0,
            offset,
            time_ms: None,
            source_topic: "t".into(),
            source_place: (Some("0".into()), Some(source_offset.to_string())),
            reason: String::new(),
            key: None,
            payload: None,
            headers: Vec::new(),
            ours: Vec::new(),
        }
    }

    #[test]
    fn a_record_is_redriven_once_whatever_number_of_letters_it_has() {
        let cut =
            |letter: Letter| Letter { ours: vec![(dead_letter_header::CUT.into(), "9".into())], ..letter };
        let nowhere = |letter: Letter| Letter { source_place: (None, None), ..letter };
        let mut letters = [
            letter(0, 5),
            cut(letter(1, 6)),
            letter(2, 5),
            letter(3, 6),
            letter(4, 7),
            letter(5, 6),
            nowhere(letter(6, 5)),
        ]
        .into_iter();
        let mut chosen = Chosen { redriven: HashSet::from(["t/0/7".to_owned()]), ..Chosen::default() };
        let part = chosen.part(|| Ok(letters.next())).unwrap();
        assert_eq!(part.iter().map(|letter| letter.offset).collect::<Vec<_>>(), [0, 3, 6]);
        assert_eq!((chosen.before, chosen.further, chosen.cut), (1, 2, 1));
        let places = ["t/0/5", "t/0/6", "t.dlq/0/6"].map(str::to_owned);
        assert_eq!(chosen.places, HashSet::from(places));
    }

    #[test]
    fn parts_are_bounded_by_number_and_by_bytes_and_all_by_the_limit() {
        let mut letters = (0..).map(|offset| letter(offset, offset));
        let mut chosen = Chosen { limit: Some(PART + 1), ..Chosen::default() };
        let mut length = || chosen.part(|| Ok(letters.next())).unwrap().len();
        assert_eq!([length(), length(), length()], [PART, 1, 0]);
        let payload = Some(vec![0_u8; PART_BYTES / 2]);
        let mut letters = (0..).map(|offset| Letter { payload: payload.clone(), ..letter(offset, offset) });
        let part = Chosen::default().part(|| Ok(letters.next())).unwrap();
        assert_eq!(part.len(), 2, "the third has to wait");
        assert_eq!(letters.next().map(|letter| letter.offset), Some(2), "and is not read yet");
    }
}
