"""The dashboard of the cluster; nodes are counted by `monitoring.nodes`."""

from crossray.monitoring.boards.panels import Board, Panel, Series


def _nodes(state: str, *labels: str) -> str:
    return f'max by ({", ".join(labels)}) (ray_crossray_nodes{{state="{state}"}})'


CLUSTER = Board(
    "cluster",
    "cluster",
    (
        Panel(
            "Nodes by kind",
            "none",
            (Series(_nodes("alive", "role", "group"), "{{role}} {{group}}"),),
            "Living nodes by their label crossray-role and their node type or worker group.",
        ),
        Panel(
            "Nodes lost",
            "none",
            (Series(_nodes("lost", "role", "group"), "{{role}} {{group}}"),),
            "Since the cluster began: spot machines that were taken back, and nodes that died.",
        ),
        Panel(
            "Nodes that ended",
            "none",
            (Series(_nodes("ended", "role", "group"), "{{role}} {{group}}"),),
            "Nodes that were idle and given back, or were shut down.",
        ),
        Panel(
            "Placement: actors by node",
            "none",
            (
                Series(
                    'sum by (instance, Name) (ray_actors{Source="executor", State!="DEAD"}) > 0',
                    "{{instance}} {{Name}}",
                ),
            ),
            "Which node runs which training workers, replicas and trials.",
        ),
        Panel(
            "Placement groups by state",
            "none",
            (Series("sum by (State) (ray_placement_groups)", "{{State}}"),),
            "PENDING: a run waits for nodes with the resources that it asks for.",
        ),
        Panel(
            "CPUs and GPUs reserved",
            "none",
            (
                Series(
                    'sum by (instance, Name) (ray_resources{Name=~"CPU|GPU", State="USED"})',
                    "{{instance}} {{Name}}",
                ),
            ),
            "By node; what is reserved need not be busy.",
        ),
        Panel(
            "CPUs and GPUs busy",
            "percent",
            (
                Series(
                    'avg by (instance, __name__) ({__name__=~"ray_node_(cpu|gpus)_utilization"})',
                    "{{instance}} {{__name__}}",
                ),
            ),
            "By node, the mean of its GPUs.",
        ),
        Panel(
            "Memory in use",
            "percentunit",
            (
                Series(
                    "max by (instance) (ray_node_mem_used / ray_node_mem_total)",
                    "{{instance}}",
                ),
            ),
            "By node. Near 1, Ray kills workers.",
            share=True,
        ),
        Panel(
            "Disk in use",
            "percent",
            (Series("max by (instance) (ray_node_disk_utilization_percentage)", "{{instance}}"),),
            "By node, of the disk with Ray's temporary folder.",
        ),
    ),
)
