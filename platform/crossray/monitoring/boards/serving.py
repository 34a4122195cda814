"""The dashboard of the endpoint: the metrics of Ray Serve, and those of `serving.metrics`."""

from __future__ import annotations

from crossray.monitoring.grafana_json import Board, Panel, Series

_OURS = 'application="crossray"'
# Ray Serve's health checks have routes that begin so.
_REQUESTS = f'serve_num_http_requests_total{{{_OURS}, route!~"/-/.*"}}'


def _rate(metric: str) -> str:
    return f"rate(ray_{metric}[$__rate_interval])"


def _quantile(quantile: float, histogram: str, *labels: str) -> str:
    by = ", ".join(("le", *labels))
    return f"histogram_quantile({quantile}, sum by ({by}) ({_rate(histogram)}))"


# HAProxy tells requests apart by method only: its route is that of the application.
_SEARCHES = f'serve_http_request_latency_ms_bucket{{{_OURS}, method="POST", status_code="200"}}'
_STAGE = "crossray_serving_stage_seconds"
_BATCH = "crossray_serving_batch_size"

SERVING = Board(
    "serving",
    "serving",
    (
        Panel(
            "Requests by status",
            "reqps",
            (
                Series(
                    f"sum by (status_code) ({_rate(_REQUESTS)})",
                    "{{status_code}}",
                ),
            ),
            "Answers of the replicas. What HAProxy answers itself, because no replica is there, is "
            "not among them.",
        ),
        Panel(
            "Time of a search",
            "ms",
            tuple(
                Series(_quantile(share, _SEARCHES), f"{100 * share:.0f} %")
                for share in (0.5, 0.95, 0.99)
            ),
            "So many of a hundred answered searches take no longer, as HAProxy sees them.",
        ),
        Panel(
            "Time of a search by stage, mean",
            "s",
            (
                Series(
                    f"sum by (stage) ({_rate(f'{_STAGE}_sum')}) / "
                    f"sum by (stage) ({_rate(f'{_STAGE}_count')})",
                    "{{stage}}",
                ),
            ),
            "`encode` is what the gateway waits for; of it, `queue` is the wait for the encoder "
            "and `model` the time of a batch.",
        ),
        Panel(
            "Time of a search by stage, 95 %",
            "s",
            (Series(_quantile(0.95, f"{_STAGE}_bucket", "stage"), "{{stage}}"),),
            "Ninety-five of a hundred take no longer.",
        ),
        Panel(
            "Requests in progress",
            "none",
            (
                Series(
                    f"sum by (deployment) (ray_serve_replica_processing_queries{{{_OURS}}})",
                    "{{deployment}}",
                ),
            ),
            "Requests that replicas work on or hold in their queue.",
        ),
        Panel(
            "Queries encoded together",
            "none",
            (
                Series(f"sum({_rate(f'{_BATCH}_sum')}) / sum({_rate(f'{_BATCH}_count')})", "mean"),
                Series(_quantile(0.95, f"{_BATCH}_bucket"), "95 %"),
            ),
            "Batches fill by themselves under load. At max_batch the encoder is the limit.",
        ),
        Panel(
            "Healthy replicas",
            "none",
            (
                Series(
                    f"sum by (deployment) (ray_serve_deployment_replica_healthy{{{_OURS}}})",
                    "{{deployment}}",
                ),
            ),
            "By deployment.",
        ),
        Panel(
            "Index: rows",
            "none",
            (
                Series(
                    "max by (index, model, modality) (ray_crossray_serving_index_rows)",
                    "index {{index}} of {{model}}: {{modality}}",
                ),
            ),
            "Which index is served, by its id, and how many vectors it holds.",
            kind="stat",
        ),
        Panel(
            "Index: memory",
            "bytes",
            (
                Series(
                    "max by (index) (ray_crossray_serving_index_bytes)",
                    "index {{index}}",
                ),
            ),
            "Of all its shards, once. In the fused topology every replica holds them all.",
            kind="stat",
        ),
    ),
)
