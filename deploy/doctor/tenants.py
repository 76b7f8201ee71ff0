"""Those who use the service: whether anybody can, and whether they can verify what is sent to them."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from deploy.doctor.context import Context
from deploy.doctor.result import CheckResult, ok, warning
from service.contract.record import DEFAULT_TENANT
from service.store.tenants import TenantStore
from service.webhooks.endpoints import EndpointStore


def keys(context: Context) -> CheckResult:
    """Who may call."""
    if context.settings.auth == "off":
        if only_here(context.settings.public_base_url):
            return ok("no key is asked for, on this machine alone")
        return warning("no key is asked for: whoever reaches the API may use it", "set CINEMO_AUTH=keys")
    known = TenantStore(context.redis).list_keys()
    if not known:
        return warning("nobody has a key", "make one: cinemo keys create --tenant NAME")
    return ok(f"{len(known)} keys of {len({each.tenant for each in known})} tenants")


def webhook_secrets(context: Context) -> CheckResult:
    """Whether all who are sent webhooks can have been told how to verify them."""
    endpoints = EndpointStore(context.redis)
    tenants = sorted({DEFAULT_TENANT, *(each.tenant for each in TenantStore(context.redis).list_keys())})
    by_tenant = {tenant: found for tenant in tenants if (found := endpoints.of_tenant(tenant))}
    if not by_tenant:
        return ok("no tenant has an endpoint")
    without = [tenant for tenant in by_tenant if not endpoints.has_secret(tenant)]
    if without:
        return warning(
            f"{', '.join(without)}: webhooks are sent and no secret has been given out to verify them by",
            f"give the receiver what `cinemo webhooks secret show --tenant {without[0]}` prints",
        )
    disabled = [tenant for tenant, found in by_tenant.items() if not all(each.enabled for each in found)]
    if disabled:
        return warning(
            f"{', '.join(disabled)}: an endpoint is disabled since it answered 410",
            f"see `cinemo webhooks endpoint list --tenant {disabled[0]}`; enable or remove it",
        )
    return ok(f"{sum(map(len, by_tenant.values()))} endpoints of {len(by_tenant)} tenants, all with a secret")


def only_here(url: str) -> bool:
    """Whether a URL leads to the machine that it is called on."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
