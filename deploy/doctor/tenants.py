"""Checks of tenants: whether they have keys, and secrets with which to verify webhooks."""

from deploy.doctor.context import Context
from deploy.doctor.public_url import is_loopback
from deploy.doctor.result import CheckResult, ok, warning
from service.contract.record import DEFAULT_TENANT
from service.store.tenants import TenantStore
from service.webhooks.endpoints import EndpointStore


def keys(context: Context) -> CheckResult:
    """Whether the API requires keys, and any exist."""
    if context.settings.auth == "off":
        if is_loopback(context.settings.public_base_url):
            return ok("no key required, on this machine only")
        return warning("no key required: anyone who reaches the API can use it", "set CINEMO_AUTH=keys")
    known = TenantStore(context.redis).list_keys()
    if not known:
        return warning("there are no keys", "create one: cinemo keys create --tenant NAME")
    return ok(f"{len(known)} keys of {len({each.tenant for each in known})} tenants")


def webhook_secrets(context: Context) -> CheckResult:
    """Whether every tenant with an endpoint has a secret."""
    endpoints = EndpointStore(context.redis)
    tenants = sorted({DEFAULT_TENANT, *(each.tenant for each in TenantStore(context.redis).list_keys())})
    by_tenant = {tenant: found for tenant in tenants if (found := endpoints.of_tenant(tenant))}
    if not by_tenant:
        return ok("no tenant has an endpoint")
    without = [tenant for tenant in by_tenant if not endpoints.has_secret(tenant)]
    if without:
        return warning(
            f"{', '.join(without)}: receivers of webhooks have no secret to verify them with",
            f"give the receiver the output of `cinemo webhooks secret show --tenant {without[0]}`",
        )
    disabled = [tenant for tenant, found in by_tenant.items() if not all(each.enabled for each in found)]
    if disabled:
        return warning(
            f"{', '.join(disabled)}: an endpoint is disabled because it returned status 410",
            f"see `cinemo webhooks endpoint list --tenant {disabled[0]}`; enable or remove it",
        )
    return ok(f"{sum(map(len, by_tenant.values()))} endpoints of {len(by_tenant)} tenants, all with a secret")
