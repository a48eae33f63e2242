//! The one script that every write goes through.

/// The version rule in Painless, the scripting language of OpenSearch and Elasticsearch.
///
/// The server runs it where it holds the document: `ctx._source` is what is stored, empty if nothing is, and
/// `ctx.op` is then `create`. A write that loses does nothing (`none`), so that the answer says `noop`. All that
/// differs between two writes is in `params`, so the server compiles the script once:
///
/// - `field`: where documents carry their version; `version`: that of the write;
/// - `document`: what to store, or null to delete;
/// - `tombstone`: the field in which a tombstone says since when, in milliseconds by the server's clock, or null.
pub const SCRIPT: &str = "def v = ctx._source[params.field]; \
    if (v != null && (!(v instanceof String) || v.compareTo(params.version) >= 0)) { ctx.op = 'none' } \
    else if (params.document == null) { ctx.op = ctx.op == 'create' ? 'none' : 'delete' } \
    else { ctx._source.clear(); ctx._source.putAll(params.document); ctx._source[params.field] = params.version; \
    if (params.tombstone != null) { ctx._source[params.tombstone] = ctx._now } }";
