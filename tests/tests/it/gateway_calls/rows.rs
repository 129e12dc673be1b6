//! What the tests of the gateway's calls find recorded.

pub const SECOND: i64 = 1_000_000_000;
/// Time of the first row, 2023-11-14T22:13:20Z.
pub const FIRST: i64 = 1_700_000_000 * SECOND;
pub const MAIN: &str = "lsst.sal.X.main";
pub const OTHER: &str = "lsst.sal.X.other";
pub const PACKED: &str = "lsst.sal.X.packed";
/// Rows of the main topic, one each second.
pub const ROWS: i64 = 40;

pub const MAIN_SCHEMA: &str = r#"{"type":"record","name":"main","namespace":"lsst.sal.X","description":"what it is","fields":[
    {"name":"salIndex","type":"int","default":0},
    {"name":"force","type":"double","units":"N","description":"pull"},
    {"name":"count","type":"int"},
    {"name":"on","type":"boolean"},
    {"name":"note","type":"string"},
    {"name":"state","type":{"type":"enum","name":"State","symbols":["OFF","IDLE"]}},
    {"name":"a","type":{"type":"array","items":"float"},"default":[0.0,0.0,0.0],"units":"m"},
    {"name":"private_efdStamp","type":"double","units":"second"}]}"#;
pub const OTHER_SCHEMA: &str = r#"{"type":"record","name":"other","namespace":"lsst.sal.X","fields":[
    {"name":"level","type":"long"}]}"#;
pub const PACKED_SCHEMA: &str = r#"{"type":"record","name":"packed","namespace":"lsst.sal.X","fields":[
    {"name":"cRIO_timestamp","type":"double","units":"second"},
    {"name":"x","type":{"type":"array","items":"double"},"default":[0.0,0.0]},
    {"name":"y","type":{"type":"array","items":"int"},"default":[0,0]}]}"#;

/// Rows as the sink writes them. Half of the main topic's are of index 2, in the field of before 2022.
pub fn lines() -> String {
    let mut lines = String::new();
    for row in 0..ROWS {
        let time = FIRST + row * SECOND;
        let index = if row % 2 == 0 { "salIndex=1i" } else { "XID=2i" };
        let note = format!("note {row} \\\"q\\\"");
        lines += &format!(
            "{MAIN} {index},force={row}.5,count={row}i,on={},note=\"{note}\",state=\"IDLE\",a0={row},a2=0.25,private_efdStamp={} {time}\n",
            row % 2 == 0,
            1_700_000_000 + row
        );
    }
    for row in 0..4 {
        lines += &format!("{OTHER} level={row}i {}\n", FIRST + row * 10 * SECOND + SECOND / 2);
        // TAI, 37 s ahead.
        let reference = 1_700_000_037.0 + row as f64 * 0.5;
        let time = FIRST + row * SECOND / 2;
        lines += &format!("{PACKED} cRIO_timestamp={reference},x0={row},x1={row}.5,y0={row}i,y1=7i {time}\n");
    }
    lines
}
