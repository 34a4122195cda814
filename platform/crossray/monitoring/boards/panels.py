"""Panels in few words, and the JSON that Grafana makes of them."""

from dataclasses import dataclass
from typing import Any, Literal

SCHEMA_VERSION = 41  # of Grafana 12; earlier ones take what they know of it
_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
_WIDTH, _HEIGHT = 12, 8  # of the 24 columns that Grafana has


@dataclass(frozen=True)
class Series:
    """A PromQL query; `legend` names its lines by their labels: `{{run}}`."""

    query: str
    legend: str


@dataclass(frozen=True)
class Panel:
    """One picture.

    Attributes:
        title: what it shows.
        unit: one of Grafana's units, or `suffix: word`.
        series: at least one.
        about: how to read it.
        kind: lines over time, or only the last values.
        share: whether values lie in [0, 1].
    """

    title: str
    unit: str
    series: tuple[Series, ...]
    about: str
    kind: Literal["timeseries", "stat"] = "timeseries"
    share: bool = False


@dataclass(frozen=True)
class Board:
    """A dashboard: its panels stand in two columns.

    `variable`: the metric and the label whose values its user may choose among, if any; panels
    write the choice as `$label`.
    """

    name: str
    title: str
    panels: tuple[Panel, ...]
    variable: tuple[str, str] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Grafana's model of it, to be written as JSON."""
        chosen = [] if self.variable is None else [_choice(*self.variable)]
        return {
            "uid": f"crossray-{self.name}",
            "title": f"CrossRay: {self.title}",
            "tags": ["crossray"],
            "schemaVersion": SCHEMA_VERSION,
            "editable": True,
            "refresh": "10s",
            "time": {"from": "now-1h", "to": "now"},
            "timezone": "browser",
            "templating": {"list": [_datasource(), *chosen]},
            "panels": [_panel(panel, place) for place, panel in enumerate(self.panels)],
        }


def _datasource() -> dict[str, Any]:
    return {
        "type": "datasource",
        "name": "datasource",
        "label": "Prometheus",
        "query": "prometheus",
        "refresh": 1,
    }


def _choice(metric: str, label: str) -> dict[str, Any]:
    query = f"label_values({metric}, {label})"
    return {
        "type": "query",
        "name": label,
        "label": label,
        "datasource": _DATASOURCE,
        "definition": query,
        "query": {"query": query, "refId": label},
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _panel(panel: Panel, place: int) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit}
    if panel.share:
        defaults |= {"min": 0, "max": 1}
    return {
        "id": place + 1,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": _DATASOURCE,
        "gridPos": {
            "x": place % 2 * _WIDTH,
            "y": place // 2 * _HEIGHT,
            "w": _WIDTH,
            "h": _HEIGHT,
        },
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _OPTIONS[panel.kind],
        "targets": [
            {
                "refId": chr(ord("A") + number),
                "datasource": _DATASOURCE,
                "expr": series.query,
                "legendFormat": series.legend,
                "range": True,
            }
            for number, series in enumerate(panel.series)
        ],
    }


_OPTIONS: dict[str, dict[str, Any]] = {
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "textMode": "value_and_name",
        "colorMode": "value",
    },
}
