"""Cells whose code must not run when a notebook is loaded, and cells whose names a model may need."""

from __future__ import annotations

# In each notebook: `train` is the work that must never run, and leaves a file behind.
SETUP = """import torch, os, functools, operator, types, pathlib, re, collections, dataclasses, enum
from dataclasses import dataclass, field
from typing import NamedTuple
import torch.nn as nn
GPT_CONFIG_124M = {"vocab_size": 50257, "emb_dim": 8}
def train(*a, **k):
    open(MARK, "w").close()
    return {}
class GPT(nn.Module):
    pass
"""

HARMFUL = (
    "train() or 1",
    "[train() for _ in range(2)]",
    "(x := train())",
    'f"{train()}"',
    "train(), 1",
    """class A:
    train()""",
    """class A(nn.Module):
    x = train()""",
    """@train
def f(): pass""",
    """@lambda f: train()
def f(): pass""",
    """@(lambda f: train())
class B: pass""",
    "def f(x=train()): pass",
    "def f(*, x=train()): pass",
    "x: train() = 1",
    "def f(x: train()): pass",
    "def f() -> train(): pass",
    """class M(type):
    def __new__(c, *a, **k):
        train()
        return type.__new__(c, *a)
class A(metaclass=M): pass""",
    """class P:
    def __init_subclass__(cls):
        train()
class C(P): pass""",
    "class A(train() and object): pass",
    "list(map(train, [1,2]))",
    "x = sorted([1,2], key=train)",
    "x = max([1], key=lambda v: train())",
    "x = functools.reduce(train, [1,2])",
    """p = functools.partial(train, 1)
p()""",
    """m = types.MethodType(train, 1)
x = m()""",
    "x = pathlib.Path.write_text(pathlib.Path(MARK), 'x')",
    "x = operator.call(train)",
    "x = re.sub('a', train, 'a')",
    """d = collections.defaultdict(train)
y = d['x']""",
    """@dataclass
class C:
    a: int = 1
    def __post_init__(self): train()
c = C()""",
    """@dataclass
class C:
    a: dict = field(default_factory=train)
c = C()""",
    """class D(dict):
    def __init__(self, *a):
        train()
d = D()""",
    """class N(NamedTuple):
    a: int = train()""",
    """class E(enum.Enum):
    A = train()""",
    """mc = operator.methodcaller('write_text', 'x')
mc(pathlib.Path(MARK))""",
    "x = dict(**train())",
    "a = b = train()",
    """if True:
    train()""",
    """try:
    import nosuch
except ImportError:
    train()""",
    """while True:
    train(); break""",
    "x = (lambda: train())()",
    "globals()['train']()",
    "x = eval('train()')",
    "x = types.new_class('X', (), {}, lambda ns: train())",
    """class S:
    def __set_name__(self, o, n): train()
class U:
    s = S()""",
    """class C:
    def __init__(self): self.x = 1
    @property
    def p(self): return train()
c = C()
y = c.p""",
    """class C:
    def __getitem__(self, i): return train()
c = C()
y = c[0]""",
    """class C:
    def __add__(self, i): return train()
c = C()
y = c + 0""",
    """class C:
    def __str__(self): return train() and ''
c = C()
y = f'{c}'""",
    """class C:
    def __len__(self): train(); return 1
c = C()
y = len(c)""",
    """class C:
    def __iter__(self): train(); return iter([])
c = C()
y = list(c)""",
    """class C:
    def __class_getitem__(cls, i): train()
y = C[0]""",
    """class C:
    def __bool__(self): train(); return True
c = C()
if c:
    x = 1""",
    """match 1:
    case 1: train()""",
    "with open(MARK,'w') as f: pass",
    """import os
os.system('touch mark')""",
    """import subprocess
x = subprocess.run(['touch',MARK])""",
    "for i in range(1): train()",
    "x = [1, [train()]]",
    """x = {}
x[train()] = 1""",
    "x = train() if True else 1",
    "x = type('X', (), {'__init_subclass__': train})",
    """l = [1, 2]
l.sort(key=train)""",
    "x = getattr(train, '__call__')()",
    """class R:
    def __init__(self):
        self.x = setattr
""",
    """class A:
    x = [train() for _ in range(1)]""",
    """class A:
    if True:
        train()""",
    """class A:
    for i in range(1): train()""",
    """class A:
    @train
    def f(self): pass""",
    """class A(nn.Module):
    def f(self, x=train()): pass""",
    """@functools.partial(lambda f: train())
def f(): pass""",
    """class C:
    def __init__(self): self.go()
    def go(self): train()
c = C()""",
    """class P:
    def __init__(self): train()
class C(P):
    def __init__(self): super().__init__()
c = C()""",
    """class C:
    def __init__(self): self.items()
    def items(self): train()
c = C()""",
    """class C:
    def __init__(self): self.x = [self.y for _ in range(1)]
    @property
    def y(self): return train()
c = C()""",
    "T = NamedTuple('T', [('a', train())])",
    """try:
    dict = train
    dict()
except ValueError: pass""",
    "x = (dict := train, dict())",
    "x = [dict() for dict in [train]]",
    """class A:
    dict = train
    y = dict()""",
    """class A:
    __module__ = 'functools'
    def __init__(self): train()
x = A()""",
    """@dataclass
class A:
    __module__ = 'functools'
    def __post_init__(self): train()
x = A()""",
    """def h(): return 1
class A:
    def __init__(self): h()
def h(): train()
x = A()""",
    """def run(f):
    f()
    return f
@run
def g(): train()""",
    """def run(n):
    def w(f):
        f()
        return f
    return w
@run(1)
def g(): train()""",
    "x = list(train() for _ in range(1))",
    """def g():
    yield train()
x = list(g())""",
    """def f(): return f()
x = f()""",
    """if 1:
    dict = train
    x = dict()""",
    "x = (lambda dict: dict())(train)",
    "x = [list(map(t, [1])) for t in [train]]",
    """@dataclass
class C:
    a: int = field(default_factory=lambda: train())
c = C()""",
    """A = [train, [1]]
x = list(map(*A))""",
    """d = collections.defaultdict(lambda: train())
y = d['x']""",
    """class E(enum.Enum):
    A = 1
    def __init__(self, v): train()""",
    """@functools.partial(train)
def f(): pass""",
    """import atexit
@atexit.register
def f(): train()""",
    """class R:
    def __call__(self, f): train()
r = R()
@r
def f(): pass""",
    """class R:
    def reg(self, f): train()
r = R()
@r.reg
def f(): pass""",
    """class C(dict):
    def keys(self): train(); return []
c = C()
x = {**c}""",
    """class E(Exception):
    def __init__(self): train()
try:
    raise E()
except E: pass""",
    """dict = x = [train][0]
y = dict()""",
    """x = {'a': train}
y = x['a']()""",
    """class P:
    def __init_subclass__(cls, f): f()
class C(P, f=train): pass""",
    """T = dataclasses.make_dataclass('T', [('a', int, field(default_factory=train))])
x = T()""",
    """@classmethod.__call__
def f(): pass""",
    """@(train)
class A: pass""",
    """class C:
    def __enter__(self): train()
    def __exit__(self, *a): pass
with C(): pass""",
    """%%capture out
train()""",
    "x = %time train()",
    """from math import *
train()""",
    """class L:
    get = staticmethod(train)
def load(): return L.get()
x = load()""",
    """class R:
    def __init__(self): self.text = types.get(MARK)
types.get = train
r = R()""",
    """types.get = train
def load(): return types.get(MARK)
x = load()""",
    """def load(d): return d.get(MARK)
types.get = train
x = load(types)""",
    """class R:
    def __init__(self, d): self.text = d.get(MARK)
types.get = train
r = R(types)""",
    """def load():
    d = dict()
    d = types
    return d.get(MARK)
types.get = train
x = load()""",
    """class R:
    def __init__(self):
        self.go = train
        self.go()
    def go(self): pass
r = R()""",
    """class R:
    def __init__(self, go):
        setattr(self, 'go', go)
        self.go()
    def go(self): pass
r = R(train)""",
    """class R:
    @staticmethod
    def s(self): return self.go()
    def go(self): pass
class Q:
    go = train
x = R.s(Q)""",
    """def call(): return train.__call__()
x = call()""",
    """import subprocess
def start():
    p = object.__new__(subprocess.Popen)
    p.__init__(['touch', MARK])
    p.wait()
x = start()""",
    "x = list(map(getattr(os, 'system'), ['touch ' + MARK]))",
    "x = re.sub('a', getattr(os, 'system'), 'a')",
    """def call(g): return max([1], key=g)
x = call([train].pop())""",
    """r = {'key': train}
x = max([1], **r)""",
    "x = max([1], **{'key': train})",
    """class A: __class_getitem__ = train
y = A[0]""",
    """class A: pass
A.__class_getitem__ = train
y = A[0]""",
    """class A:
    if True:
        def __class_getitem__(cls, i): train()
y = A[0]""",
    """y = type('A', (), {'__class_getitem__': train})[0]""",
    """class M(type): pass
y = M('A', (), {'__class_getitem__': train})[0]""",
    "class A(metaclass=lambda n, b, d: train()): pass",
    """def meta(n, b, d): return train()
class A(metaclass=meta): pass""",
    """class P: __init_subclass__ = train
class C(P): pass""",
    """class P:
    def __init_subclass__(cls): train()
x = type('C', (P,), {})""",
    """class P:
    def __init_subclass__(cls): train()
def base(): return P
class C(base()): pass""",
    """class P:
    @classmethod
    def __subclasshook__(cls, c): return train()
import abc
class A(P, abc.ABC): pass
x = isinstance(1, A)""",
    """class A: __init__ = train
x = A()""",
    """class A: __getattr__ = train
x = A().y""",
    """class Outer:
    class Base:
        def __init_subclass__(cls): train()
    class Derived(Base): pass""",
    """def f():
    try: 1 / 0
    except: train
    finally: [train() for _ in range(1)]
x = f()""",
    """from typing import get_type_hints
def g(x: 'train()'): pass
x = get_type_hints(g)""",
)

# Each defines `f`.
HARMLESS = (
    """@torch.no_grad()
def f(): pass""",
    """GPT_CONFIG_124M.update({'emb_dim': 16})
f = GPT_CONFIG_124M['emb_dim'] == 16""",
    'f = device = "cuda" if torch.cuda.is_available() else "cpu"',
    'f = torch.device("cuda" if torch.cuda.is_available() else "cpu")',
    """@dataclass
class C:
    a: int = 1
    b: list = field(default_factory=list)
    def __post_init__(self):
        assert self.a
        self.hd = self.a // 1
f = C()""",
    """class N(NamedTuple):
    a: int = 1
f = N()""",
    "f = functools.partial(nn.LayerNorm, eps=1e-6)",
    """def timer(g):
    @functools.wraps(g)
    def w(*a):
        print(1)
        return g(*a)
    return w
@timer
def f(): pass""",
    """def timer(n):
    def outer(g):
        @functools.wraps(g)
        def w(*a):
            print(1)
            return g(*a)
        return w
    return outer
@timer(3)
def f(): pass""",
    """class f(nn.Module):
    @property
    def a(self): return 1
    @a.setter
    def a(self, v): pass
    @staticmethod
    def s(): pass
    @torch.no_grad()
    def g(self, x=torch.tensor(1)): pass""",
    "f = lambda x: train(x)",
    """f = GPT_CONFIG_124M.copy()
f |= {'a': 1}
f = {**f, 'b': 2}
f = f | dict(a=1)""",
    """class E(enum.Enum):
    A = enum.auto()
f = E.A""",
    """@dataclass(frozen=True, slots=True)
class C:
    a: int = 1
f = dataclasses.replace(C(), a=2)""",
    """f = None
stoi = {c: i for i, c in enumerate(sorted(set('hello')))}
f = stoi""",
    """class Cfg:
    vocab = 50257
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    d = vocab // 2
f = Cfg()""",
    """from typing import Generic, TypeVar, Optional
T = TypeVar('T')
class f(Generic[T]):
    a: Optional[int] = None""",
    """assert 50257 % 1 == 0
f = 1""",
    """print(GPT_CONFIG_124M)
f = 1""",
    """ACT = {'gelu': nn.GELU, 'relu': nn.ReLU}
f = ACT['gelu']""",
    """class f(nn.Module):
    act = nn.GELU()""",
    """from typing import overload
class f:
    @overload
    def a(self): ...
    def a(self, x=1): ...""",
    """from abc import ABC, abstractmethod
class f(ABC):
    @abstractmethod
    def g(self): ...""",
    """class f:
    @functools.lru_cache(maxsize=None)
    def g(self): ...
    @functools.cached_property
    def h(self): ...""",
    """BASE = {'x': 1}
f = {k: {**BASE, 'n': n} for k, n in zip('ab', [1, 2])}""",
    """class f(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x): return x""",
    """if torch.cuda.is_available():
    f = 'cuda'
elif torch.backends.mps.is_available():
    f = 'mps'
else:
    f = 'cpu'""",
    """REG = {}
def register(name):
    def w(c):
        REG[name] = c
        return c
    return w
@register('a')
class f: pass""",
    """class f(nn.Module):
    def forward(self, x: 'torch.Tensor', dim: int = -1) -> torch.Tensor: return x""",
    """class f:
    n = 3
    xs = [1] * n
    ys = tuple(range(n))
    zs = list(map(str, xs))""",
    """def get_device():
    if torch.cuda.is_available():
        return 'cuda'
    return 'cpu'
f = get_device()""",
    """@dataclass
class C:
    n: int = 4
    def __post_init__(self):
        self.check()
    def check(self):
        if self.n % 2:
            raise ValueError(f'odd {self.n}')
    @property
    def dev(self): return torch.device('cpu')
f = C()
g = f.dev""",
    """class A:
    def __init__(self, n=1, **kw):
        self.n = n
        for k, v in kw.items(): setattr(self, k, v)
class B(A):
    def __init__(self, m=2, **kw):
        super().__init__(**kw)
        self.m = m
f = B(m=3, n=2, z=1)""",
    """class AttrDict(dict):
    def __getattr__(self, k): return self[k]
    __setattr__ = dict.__setitem__
f = AttrDict(a=1)
g = f.a""",
    "f = types.SimpleNamespace(act=torch.nn.functional.gelu)",
    """args = None
import argparse
f = argparse.Namespace(a=1)""",
    "f = sorted(map(str.upper, ['a']), key=len)",
    """USE = True
f = nn.LayerNorm if USE else nn.RMSNorm""",
    """cfgs = {'a': {'emb_dim': 1}}
GPT_CONFIG_124M.update(cfgs['a'])
f = GPT_CONFIG_124M""",
    """d = collections.defaultdict(list)
d['x'].append(1)
f = d""",
    "f: dict[str, int] = {'a': 1}",
    """import warnings
warnings.filterwarnings('ignore')
f = 1""",
    """def sized(base, names=['n'], **changes):
    sizes = base.copy()
    sizes.update(changes)
    for name, value in sizes.items():
        names.append(f'{name} {value}')
    return sizes
f = sized(GPT_CONFIG_124M, emb_dim=4)""",
    """class Sizes:
    def __init__(self, sizes, **more):
        self.all = {}
        self.all.update(sizes)
        self.n = sizes.get('n', 1)
f = Sizes({'n': 2}, m=3)""",
    """class Sizes:
    def __init__(self, **sizes): self.__dict__.update(sizes)
f = Sizes(n=3)""",
    """@dataclass(frozen=True)
class C:
    n: int = 4
    def __post_init__(self):
        object.__setattr__(self, 'm', self.n // 2)
f = C()""",
    """class A:
    def __init__(self, n): self.n = n
class B(A):
    def __init__(self, n):
        A.__init__(self, n)
        super(B, self).__init__(n)
        self.names = ', '.join(['a']).strip().split(',')
    __repr__ = A.__repr__
f = B(1)""",
    """Sizes = collections.namedtuple('Sizes', 'n m')
class f(collections.namedtuple('Base', 'a b')):
    def total(self): return self.a + self.b""",
    """class Registry:
    kinds = {}
    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
class f(Registry): pass""",
    """class Outer:
    class Base: pass
    class Derived(Base): pass
f = Outer.Derived""",
    """from abc import ABCMeta
class f(metaclass=ABCMeta): pass""",
    """def words(text):
    seen = []
    for word in text.split():
        seen.append(word)
    return seen
f = words('a b')""",
)
