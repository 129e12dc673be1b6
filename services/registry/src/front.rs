//! Where answers come from: our own log, an upstream registry, or both.

use std::sync::Arc;

use tokio::sync::watch;

use crate::access::Access;
use crate::answer;
use crate::api::{Api, Reply, Request};
use crate::audit;
use crate::error::RegistryError;
use crate::metrics::Metrics;
use crate::proxy::Proxy;
use crate::proxy::shadow::Shadow;
use crate::route::Call;
use crate::scope;
use crate::store::View;

/// What the servers, REST and gRPC, ask.
#[derive(Debug)]
pub(crate) struct Front {
    place: Place,
    /// Who may ask.
    pub(crate) access: Access,
    /// Instruments.
    pub(crate) metrics: Metrics,
    /// Longest record in the log.
    pub(crate) max_schema_bytes: u64,
}

/// The registry behind the servers.
#[derive(Debug)]
pub(crate) enum Place {
    /// Our own log.
    Own(Box<Api>),
    /// Another registry.
    Proxy(Arc<Proxy>),
    /// Both.
    Shadow(Arc<Shadow>),
}

impl Front {
    /// Answers from `place` whom `access` admits.
    pub(crate) fn new(place: Place, access: Access, metrics: Metrics, max_schema_bytes: u64) -> Self {
        Self { place, access, metrics, max_schema_bytes }
    }

    /// Makes the change that another replica's client asks for. With [`answer`](Self::answer) the only way in.
    ///
    /// # Errors
    /// As [`Api::answer_forwarded`], and when the client's credential does not allow it; none in a proxy, which has no log.
    pub(crate) async fn answer_forwarded(&self, request: &Request) -> Result<Reply, RegistryError> {
        check(request)?;
        match self.own() {
            Some(own) => own.answer_forwarded(request).await,
            None => Err(RegistryError::NotWriter),
        }
    }

    /// Answers a request, as far as its caller may ask.
    ///
    /// # Errors
    /// Why it is refused, or why it failed.
    pub(crate) async fn answer(&self, request: &Request) -> Result<Reply, RegistryError> {
        check(request)?;
        if request.caller.prefixes().is_empty() {
            return self.unscoped(request).await;
        }
        // Rare, and larger than all else.
        Box::pin(scope::answer(self, request)).await
    }

    /// Answers a request whoever asks.
    ///
    /// # Errors
    /// Why it is refused, or why it failed.
    pub(crate) async fn unscoped(&self, request: &Request) -> Result<Reply, RegistryError> {
        match &self.place {
            Place::Own(api) => api.answer(request).await,
            // Whether a registry is here, not there.
            Place::Proxy(_) if request.call == Call::Root => {
                answer::fixed(&request.call).map(Reply::from).ok_or(RegistryError::PathNotFound)
            }
            Place::Proxy(proxy) => proxy.answer(request).await,
            Place::Shadow(shadow) => shadow.answer(request).await,
        }
    }

    /// The registry with the log; none in a proxy.
    pub(crate) fn own(&self) -> Option<&Api> {
        match &self.place {
            Place::Own(api) => Some(api),
            Place::Proxy(_) => None,
            Place::Shadow(shadow) => Some(shadow.own()),
        }
    }

    /// What is known, and each change of it; none in a proxy.
    pub(crate) fn watch(&self) -> Option<watch::Receiver<View>> {
        self.own().map(|own| own.store.watch())
    }

    /// Waits until there is something to answer from.
    pub(crate) async fn loaded(&self) {
        let Some(mut view) = self.watch() else { return };
        // An error means that nobody reads the log any more; it will never be loaded then.
        if view.wait_for(|view| view.is_loaded).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn check(request: &Request) -> Result<(), RegistryError> {
    let checked = request.caller.check(request);
    if let (Err(error), true) = (&checked, request.call.is_change()) {
        audit::refused(request, error);
    }
    checked
}
