//! Which certificates are taken, at the start and later.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const DEADLINE: Duration = Duration::from_secs(20);

/// Writes a certificate and its key; gives the certificate.
fn write(folder: &Path) -> CertificateDer<'static> {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("tls.crt"), pair.cert.pem()).unwrap();
    std::fs::write(folder.join("tls.key"), pair.signing_key.serialize_pem()).unwrap();
    pair.cert.der().clone()
}

fn settings(folder: &Path) -> TlsConfig {
    TlsConfig {
        certificate_file: Some(folder.join("tls.crt")),
        key_file: Some(folder.join("tls.key")),
        reload_interval: Duration::from_millis(5),
    }
}

fn shown(certificate: &ServerCertificate) -> CertificateDer<'static> {
    certificate.current.read().unwrap().cert[0].clone()
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let held = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, held).await.unwrap_or_else(|_| panic!("{what}"));
}

#[test]
fn certificate_and_key_make_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let expected = write(folder.path());
    let certificate = ServerCertificate::load(&settings(folder.path())).unwrap().unwrap();
    assert_eq!(certificate.server("http/1.1").alpn_protocols, [b"http/1.1"]);
    assert_eq!(shown(&certificate), expected);
    assert!(ServerCertificate::load(&TlsConfig::default()).unwrap().is_none());
}

#[test]
fn what_cannot_be_used_is_refused_with_file_and_setting() {
    let folder = tempfile::tempdir().unwrap();
    let config = settings(folder.path());
    write(folder.path());
    let other = tempfile::tempdir().unwrap();
    write(other.path());
    let mixed = TlsConfig { key_file: settings(other.path()).key_file, ..config.clone() };
    assert!(matches!(ServerCertificate::load(&mixed).unwrap_err(), TlsError::Pair(_)));
    for (file, setting) in [("tls.key", "tls.key_file"), ("tls.crt", "tls.certificate_file")] {
        std::fs::write(folder.path().join(file), "nothing of use").unwrap();
        let message = ServerCertificate::load(&config).unwrap_err().to_string();
        assert!(message.contains(setting) && message.contains(&format!("{file} (")), "{message}");
    }
    let half = TlsConfig { key_file: None, ..config };
    assert!(half.check().unwrap_err().to_string().contains("tls.key_file"));
}

#[tokio::test]
async fn a_changed_certificate_is_taken_and_one_that_cannot_be_used_is_counted_and_not() {
    let (stop, refused) = (Stop::default(), Arc::new(AtomicUsize::new(0)));
    let folder = tempfile::tempdir().unwrap();
    write(folder.path());
    let certificate = ServerCertificate::load(&settings(folder.path())).unwrap().unwrap();
    let count = refused.clone();
    let changed = move |is_used: bool| {
        count.fetch_add(usize::from(!is_used), Ordering::Relaxed);
    };
    let watch = tokio::spawn(certificate.clone().watch(changed, stop.clone()));

    let second = write(folder.path());
    until("the second certificate is shown", async || shown(&certificate) == second).await;
    std::fs::write(folder.path().join("tls.crt"), "no certificate").unwrap();
    until("the bad one is counted", async || refused.load(Ordering::Relaxed) > 0).await;
    assert_eq!(shown(&certificate), second);
    let third = write(folder.path());
    until("the third certificate is shown", async || shown(&certificate) == third).await;

    stop.request();
    tokio::time::timeout(DEADLINE, watch).await.expect("the watch ends").unwrap();
}
