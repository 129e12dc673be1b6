//! Stands before the gRPC service: who calls, and whether the quota has room. Which topics a caller may read, is checked
//! where topics are found.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Instant;

use futures::future::{BoxFuture, FutureExt as _};
use http::{HeaderValue, Request, Response, header};
use http_body_util::BodyExt as _;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::server::NamedService;
use tonic::{Code, Status};

use crate::credentials::{Access, Caller};
use crate::error::QueryError;
use crate::quota::{OverQuota, Quotas};

/// A service that only callers with credentials and room in their quota reach.
#[derive(Debug, Clone)]
pub struct Guarded<S> {
    inner: S,
    access: Access,
    quotas: Quotas,
    /// The database that the service reads.
    database: String,
}

impl<S> Guarded<S> {
    /// Before `inner`, which reads from `database`.
    pub fn new(inner: S, access: Access, quotas: Quotas, database: &str) -> Self {
        Self { inner, access, quotas, database: database.to_owned() }
    }

    fn caller(&self, authorization: Option<&HeaderValue>) -> Result<Caller, Status> {
        let authorization = authorization.and_then(|value| value.to_str().ok());
        let caller =
            self.access.caller(authorization).map_err(|error| Status::unauthenticated(error.to_string()))?;
        if !caller.may_read_database(&self.database) {
            return Err(Status::from(&QueryError::ForbiddenDatabase(self.database.clone())));
        }
        Ok(caller)
    }
}

impl<S: NamedService> NamedService for Guarded<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let caller = match self.caller(request.headers().get(header::AUTHORIZATION)) {
            Ok(caller) => caller,
            Err(status) => return futures::future::ready(Ok(status.into_http())).boxed(),
        };
        let place = match self.quotas.admit(&caller, Instant::now()) {
            Ok(place) => place,
            Err(over) => return futures::future::ready(Ok(refused(over))).boxed(),
        };
        let answering = caller.scope(self.inner.call(request));
        async move {
            let response = answering.await?;
            // The place is held until the answer has gone out or is dropped.
            Ok(response.map(|body| {
                Body::new(body.map_frame(move |frame| {
                    let _held = &place;
                    frame
                }))
            }))
        }
        .boxed()
    }
}

fn refused(over: OverQuota) -> Response<Body> {
    let millis = u64::try_from(over.retry_after().as_millis()).unwrap_or(u64::MAX);
    let mut status = Status::new(Code::ResourceExhausted, format!("{over}; try again in {millis} ms"));
    // Clients of gRPC that retry by themselves wait this long.
    status.metadata_mut().insert("grpc-retry-pushback-ms", millis.into());
    status.into_http()
}
