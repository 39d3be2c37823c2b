"""Endpoints with their addresses, whoever gives these: our own bookkeeping, or a plugin that is asked first."""

import asyncio
from collections.abc import Collection
from dataclasses import replace

import msgspec

from engine.core.model.network import EndpointSettings, Network
from engine.domain.networks.endpoints import Endpoint
from engine.domain.networks.plan import Planned, Planner, random_mac
from engine.domain.networks.remote_ipam import RemoteIpam
from engine.domain.networks.sandbox import SandboxRequest


class Allocator:
    """Draws up endpoints, and gives back what they have."""

    def __init__(self, planner: Planner, ipam: RemoteIpam) -> None:
        self._planner = planner
        self._ipam = ipam

    async def plan(
        self, request: SandboxRequest, network: Network, wanted: EndpointSettings, taken: Collection[str]
    ) -> Planned:
        """Draw up the endpoint on one network, as `Planner.plan`. Raises what that raises, and what a plugin says."""
        if not network.pool_ids:
            return self._planner.plan(request, network, wanted, taken)
        key = lease_key(request.container_id, network.id)
        needs_mac = await self._ipam.needs_mac(network)
        mac = wanted.requested_mac or (random_mac() if needs_mac else "")
        leased = await self._ipam.lease(network, wanted, key, mac if needs_mac else "")
        leased = msgspec.structs.replace(leased, requested_mac=mac)
        try:
            planned = self._planner.plan(request, network, leased, taken)
        except BaseException:
            await asyncio.shield(self._ipam.end(key))
            raise
        # What was asked for stays what the client asked for.
        settings = msgspec.structs.replace(
            planned.endpoint.settings, ipam_config=wanted.ipam_config, requested_mac=wanted.requested_mac
        )
        return replace(planned, endpoint=replace(planned.endpoint, settings=settings))

    async def give_back(self, endpoint: Endpoint) -> None:
        """Give the addresses of an endpoint back. Idempotent."""
        self._planner.give_back(endpoint)
        await self._ipam.end(lease_key(endpoint.container_id, endpoint.network_id))


def lease_key(container_id: str, network_id: str) -> str:
    """Return what the addresses of a container on a network are held under."""
    return f"{container_id}/{network_id}"
