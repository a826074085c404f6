import anyio
import pytest


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


@pytest.fixture
async def resource(anyio_backend):
    await anyio.sleep(0)
    yield anyio_backend
    await anyio.sleep(0)


@pytest.mark.anyio
async def test_passes(resource):
    await anyio.sleep(0)
    assert resource in ("asyncio", "trio")


@pytest.mark.anyio
async def test_fails(resource):
    assert resource == "asyncio"


@pytest.mark.anyio
async def test_skips():
    pytest.skip("here")


async def test_without_mark():
    pass
