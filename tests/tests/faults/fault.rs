//! The faults: what each is called, what happens, and which records it may turn into dead letters.

use efd_tests::proxy::is_spoiled;

/// One line of the table.
#[derive(Debug)]
pub struct Fault {
    /// Its name, by which it is chosen.
    pub name: &'static str,
    /// What happens, for people.
    pub what: &'static str,
    /// What is done.
    pub act: Act,
}

/// What is done while records flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Nothing.
    Nothing,
    /// The sink is killed and started again, twice.
    KillSink,
    /// Two more replicas of the sink come and go.
    ScaleSink,
    /// The broker is killed and comes back.
    StopBroker,
    /// The registry comes after the sink.
    LateRegistry,
    /// The registry goes away and a sink that knows no schema starts.
    StopRegistry,
    /// The same, but the registry answers 500.
    RegistryAnswers,
    /// InfluxDB is stopped and comes back.
    StopInfluxDb,
    /// InfluxDB answers late, then later than the sink waits.
    Slow,
    /// InfluxDB answers every write with this status, then every fifth.
    Answers(u16),
    /// InfluxDB takes only small requests.
    Limit,
    /// Connections to InfluxDB are cut, before and after the write.
    Cut,
    /// InfluxDB refuses one line in so many.
    Spoil,
    /// A field of one topic has another type in InfluxDB.
    Conflict,
    /// Of two destinations, one is dead for a minute.
    DeadStandby,
    /// Records that nobody can decode, and tombstones.
    Undecodable,
    /// Schemas get a further version.
    SchemaChange,
    /// InfluxDB's disk is full; then it gets room and is started again.
    FullDisk,
}

/// One line in so many is refused.
pub const SPOILED: u64 = 5000;
/// Measurement whose field has another type in InfluxDB.
pub const CONFLICT: &str = "lsst.sal.MTM1M3.gyroData";

/// All faults, in the order of the table.
pub const FAULTS: [Fault; 26] = [
    fault("none", "nothing, to compare with", Act::Nothing),
    fault("sink-killed", "sink killed (-9) and restarted, twice", Act::KillSink),
    fault("sink-scaled", "sink scaled 1 -> 3 -> 1", Act::ScaleSink),
    fault("broker-stopped", "broker killed, back after 5 s", Act::StopBroker),
    fault("registry-late", "no registry when the sink starts, for 5 s", Act::LateRegistry),
    fault("registry-stopped", "registry stopped, and the sink restarts meanwhile", Act::StopRegistry),
    fault("registry-500", "registry answers 500, and the sink restarts meanwhile", Act::RegistryAnswers),
    fault("influxdb-stopped", "InfluxDB stopped, back after 6 s", Act::StopInfluxDb),
    fault("influxdb-slow", "writes take 0.7 s, then longer than the time-out of 3 s", Act::Slow),
    fault("influxdb-400", "400 in a proxy's words to every write for 5 s", Act::Answers(400)),
    fault("influxdb-401", "401 to every write for 5 s, then to every fifth", Act::Answers(401)),
    fault("influxdb-403", "403 to every write for 5 s, then to every fifth", Act::Answers(403)),
    fault("influxdb-404", "404 to every write for 5 s, then to every fifth", Act::Answers(404)),
    fault("influxdb-408", "408 to every write for 5 s, then to every fifth", Act::Answers(408)),
    fault("influxdb-413", "413 to every write above 64 KiB for 6 s", Act::Limit),
    fault("influxdb-422", "422 in a proxy's words to every write for 5 s", Act::Answers(422)),
    fault(
        "influxdb-429",
        "429 with Retry-After to every write for 5 s, then to every fifth",
        Act::Answers(429),
    ),
    fault("influxdb-500", "500 to every write for 5 s, then to every fifth", Act::Answers(500)),
    fault(
        "influxdb-503",
        "503 with Retry-After to every write for 5 s, then to every fifth",
        Act::Answers(503),
    ),
    fault("influxdb-cut", "connections cut before and after the write for 5 s, then every fifth", Act::Cut),
    fault("line-refused", "one line in 5,000 refused by InfluxDB", Act::Spoil),
    fault("type-conflict", "a field of one topic has another type in InfluxDB", Act::Conflict),
    fault("standby-dead", "one of two destinations dead for a minute", Act::DeadStandby),
    fault("undecodable", "1 % undecodable records, and tombstones", Act::Undecodable),
    fault("schema-change", "ten topics get a further version of their schema", Act::SchemaChange),
    fault("disk-full", "InfluxDB's disk full for 6 s, then room and a restart", Act::FullDisk),
];

const fn fault(name: &'static str, what: &'static str, act: Act) -> Fault {
    Fault { name, what, act }
}

impl Act {
    /// Whether the sink has to give up this point, which a record holds that can be decoded.
    pub fn refuses(self, measurement: &str, nanos: i64) -> bool {
        match self {
            Self::Spoil => is_spoiled(measurement, nanos, SPOILED),
            Self::Conflict => measurement == CONFLICT,
            _ => false,
        }
    }
}
