"""ib_insync and ib_async connect over a socket, their bytes arriving one by one."""

import asyncio

import pytest

from gateway.tws import messages as m
from gateway.tws.connection import NEED_DATA, ServerConnection
from tests.gateway.real_clients import Recorder, ib_async, ib_insync


class Gateway(asyncio.Protocol):
    """Just enough of a gateway to carry a ServerConnection: says hello and answers the time."""

    def __init__(self, connection):
        self.connection = connection
        self.seen = []
        self.closed = asyncio.Event()

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        for byte in data:
            self.connection.receive_data(bytes([byte]))
            while (message := self.connection.next_message()) is not NEED_DATA:
                self.seen.append(message)
                self.answer(message)
            self.transport.write(self.connection.data_to_send())

    def connection_lost(self, exception):
        self.closed.set()

    def answer(self, message):
        match message:
            case m.StartApi():
                self.connection.send(m.ManagedAccounts(accounts="DU1"), m.NextValidId(order_id=5))
            case m.ReqCurrentTime():
                self.connection.send(m.CurrentTime(time=1767623400))


@pytest.mark.parametrize(
    ("library", "max_version", "version"),
    [(ib_insync, 178, 176), (ib_insync, 157, 157), (ib_async, 178, 178), (ib_async, 157, 157), (ib_async, 170, 170)],
)
def test_a_real_client_connects(library, max_version, version):
    async def scenario():
        loop = asyncio.get_running_loop()
        gateway = Gateway(ServerConnection(time_text="20260105 14:30:00 UTC", max_version=max_version))
        server = await loop.create_server(lambda: gateway, "127.0.0.1", 0)
        wrapper = Recorder()
        told = loop.create_future()
        wrapper.currentTime = told.set_result
        client = library.client.Client(wrapper)
        client.setConnectOptions("+PACEAPI")

        await client.connectAsync("127.0.0.1", server.sockets[0].getsockname()[1], 7, timeout=5)
        client.reqCurrentTime()
        time = await told
        agreed, next_id, accounts = client.serverVersion(), client.getReqId(), client.getAccounts()

        client.disconnect()
        await gateway.closed.wait()
        server.close()
        await server.wait_closed()
        return agreed, next_id, accounts, time, gateway

    agreed, next_id, accounts, time, gateway = asyncio.run(asyncio.wait_for(scenario(), 10))

    assert (agreed, next_id, accounts, time) == (version, 5, ["DU1"], 1767623400)
    assert gateway.seen == [m.StartApi(client_id=7), m.ReqCurrentTime()]
    assert gateway.connection.connect_options == "+PACEAPI"
