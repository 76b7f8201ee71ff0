"""The Helm chart as Helm and Kubernetes see it. Knows no cluster."""
