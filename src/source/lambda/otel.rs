//! Spans for OpenTelemetry, as children of X-Ray's.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use futures_util::future::{BoxFuture, FutureExt};
use lambda_runtime::LambdaInvocation;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tower::{Layer, Service};
use tracing::{Instrument, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// Gives each invocation a span below that of X-Ray, and calls `flush` when the invocation's answer is out.
#[derive(Debug, Clone)]
pub(super) struct Traced<F> {
    flush: F,
    /// Shared, since the runtime may make several services of this.
    is_cold: Arc<AtomicBool>,
}

impl<F> Traced<F> {
    pub(super) fn new(flush: F) -> Self {
        Self { flush, is_cold: Arc::new(AtomicBool::new(true)) }
    }
}

impl<S, F: Clone> Layer<S> for Traced<F> {
    type Service = TracedService<S, F>;

    fn layer(&self, inner: S) -> Self::Service {
        TracedService { inner, traced: self.clone() }
    }
}

#[derive(Debug, Clone)]
pub(super) struct TracedService<S, F> {
    inner: S,
    traced: Traced<F>,
}

impl<S, F> Service<LambdaInvocation> for TracedService<S, F>
where
    S: Service<LambdaInvocation, Future: Send + 'static>,
    F: Fn() + Clone + Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, invocation: LambdaInvocation) -> Self::Future {
        let span = self.traced.span(&invocation.context);
        let answer = span.in_scope(|| self.inner.call(invocation)).instrument(span);
        let flush = self.traced.flush.clone();
        // By then the span is closed. Lambda freezes the process when it asks for the next event, and not before.
        answer.inspect(move |_| flush()).boxed()
    }
}

impl<F> Traced<F> {
    /// As the runtime's own layer has it, with the attributes that OpenTelemetry names for functions.
    fn span(&self, lambda: &lambda_runtime::Context) -> Span {
        let (function, header) = (lambda.env_config.function_name.as_str(), lambda.xray_trace_id.as_deref());
        let span = tracing::info_span!(
            "Lambda runtime invoke",
            requestId = lambda.request_id,
            xrayTraceId = header,
            otel.name = function,
            otel.kind = "consumer",
            faas.name = function,
            faas.trigger = "datasource",
            faas.invocation_id = lambda.request_id,
            faas.coldstart = self.is_cold.swap(false, Ordering::Relaxed),
        );
        if let Some(parent) = header.and_then(parent) {
            // Without a layer of OpenTelemetry nobody wants to know.
            _ = span.set_parent(opentelemetry::Context::new().with_remote_span_context(parent));
        }
        span
    }
}

/// The span that X-Ray's trace header names: `Root=1-<8 digits>-<24 digits>;Parent=<16 digits>;Sampled=1`, in base 16. See "X-Ray
/// tracing header" in the AWS X-Ray documentation.
fn parent(header: &str) -> Option<SpanContext> {
    let field = |name: &str| header.split(';').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='));
    let (time, id) =
        field("Root")?.strip_prefix("1-")?.split_once('-').filter(|(time, id)| (time.len(), id.len()) == (8, 24))?;
    let trace = TraceId::from_hex(&[time, id].concat()).ok()?;
    let span = SpanId::from_hex(field("Parent")?).ok()?;
    let flags = if field("Sampled") == Some("1") { TraceFlags::SAMPLED } else { TraceFlags::default() };
    Some(SpanContext::new(trace, span, flags, true, TraceState::default())).filter(SpanContext::is_valid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_name_their_parents() {
        let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=1:a87bd80c:0";
        let parent = parent(header).expect("a parent");
        assert_eq!(parent.trace_id().to_string(), "5759e988bd862e3fe1be46a994272793");
        assert_eq!(parent.span_id().to_string(), "53995c3f42cd8ad8");
        assert!(parent.is_sampled() && parent.is_remote());
    }

    #[test]
    fn what_is_no_header_names_none() {
        for header in [
            "",
            "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1",
            "Root=2-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8",
            "Root=1-5759e988bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8",
            "Root=1-5759e988-bd862e3fe1be46a99427279;Parent=53995c3f42cd8ad8",
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=parent",
            "Root=1-00000000-000000000000000000000000;Parent=53995c3f42cd8ad8",
        ] {
            assert_eq!(parent(header), None, "{header}");
        }
        let unsampled = parent("Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0");
        assert!(unsampled.is_some_and(|parent| !parent.is_sampled()));
    }
}
