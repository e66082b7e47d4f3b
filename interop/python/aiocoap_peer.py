"""aiocoap as server or client. See aiocoap_test.go."""
import asyncio
import hashlib
import sys

import aiocoap
import aiocoap.resource as resource

large = open(sys.argv[3], "rb").read()


class Large(resource.Resource):
    async def render_get(self, request):
        return aiocoap.Message(payload=large, content_format=42)


class Store(resource.Resource):
    async def render_put(self, request):
        print("stored", hashlib.sha256(request.payload).hexdigest(), flush=True)
        return aiocoap.Message(code=aiocoap.CHANGED)


class Slow(resource.Resource):
    async def render_get(self, request):
        await asyncio.sleep(1)
        return aiocoap.Message(payload=b"at last")


class Time(resource.ObservableResource):
    count = 0

    def __init__(self):
        super().__init__()
        asyncio.get_running_loop().create_task(self.tick())

    async def tick(self):
        while True:
            await asyncio.sleep(0.2)
            self.count += 1
            self.updated_state()

    async def render_get(self, request):
        return aiocoap.Message(payload=b"tick %d" % self.count)


async def serve(address):
    site = resource.Site()
    for path, r in (("large", Large()), ("store", Store()), ("slow", Slow()), ("time", Time())):
        site.add_resource([path], r)
    await aiocoap.Context.create_server_context(site, bind=(address, 5683), transports=["simplesocketserver", "tcpserver"])
    print("ready", flush=True)
    await asyncio.get_running_loop().create_future()


async def ask(base):
    context = await aiocoap.Context.create_client_context(transports=["simple6", "tcpclient"])

    async def get(path, **more):
        return await context.request(aiocoap.Message(code=aiocoap.GET, uri=base + path, **more)).response

    print("hello", (await get("/")).payload.decode())
    print("missing", (await get("/nothing")).code)
    if base.startswith("coap:"):
        print("slow", (await get("/slow")).payload.decode())
    print("large", hashlib.sha256((await get("/large")).payload).hexdigest())
    stored = await context.request(aiocoap.Message(code=aiocoap.PUT, uri=base + "/store", payload=large)).response
    print("stored", stored.code)
    observation = context.request(aiocoap.Message(code=aiocoap.GET, uri=base + "/time", observe=0))
    print("observed", (await observation.response).payload.decode())
    async for news in observation.observation:
        print("observed", news.payload.decode(), flush=True)
        if news.payload == b"tick 4":
            break
    observation.observation.cancel()
    await context.shutdown()


asyncio.run(serve(sys.argv[2]) if sys.argv[1] == "serve" else ask(sys.argv[2]))
