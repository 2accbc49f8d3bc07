#!/usr/bin/env python3
"""Checks the protocol of src/protocol/pool.rs and src/protocol/queue.rs by exhaustion: a process is killed at any store, restarted, repairs its own words only, and delivers again
what its predecessor had taken and not put. Loom (tests/model) checks the code itself, but cannot go this far: two kills in any place, both sides dead,
death during repair, references that stay, echoes.

Prints "exhausted N states, no violation", or the violation and the steps that lead to it, with exit status 1.
usage: blocks.py POSITIONS KILLS HOMES SECONDS, e.g. blocks.py 2 2 01 300: two samples in each direction, two kills, two blocks, at home on side 0 and 1.

A side is (alive, operation, step, arguments, references, tail, position, got); the words are sent, done, entries (block, phase), and taken and kept of each side.
The set `ret` remembers what happened, apart from all words: (side, position) returned to the user, (side + 10, position) received there and sent on, (side + 20, position)
in the hands of the dead."""
import sys, time
MAXPOS=int(sys.argv[1]) if len(sys.argv)>1 else 3
MAXK=int(sys.argv[2]) if len(sys.argv)>2 else 2
HOME=tuple(map(int,(sys.argv[3] if len(sys.argv)>3 else "01")))
LIMIT=float(sys.argv[4]) if len(sys.argv)>4 else 120
NB=len(HOME); N=2
def ph(m): return ((m//N)&1)^1
Z=(0,)*NB
def side0(alive=1): return (alive,None,0,(),Z,0,0,Z)
init=((side0(),side0()),(Z,Z),(Z,Z),(((0,0),)*N,)*2,(0,0,0,0),0,())
def add(ret,*more): return tuple(sorted(set(ret)|set(more)))
def up(t,i,v): return t[:i]+(v,)+t[i+1:]
def pub(ring,P,pos,x): return up(ring,P,up(ring[P],pos%N,(x,ph(pos))))
def scan(ring,P,h):
    t=h
    while t-h<N and ring[P][t%N][1]==ph(t): t+=1
    return t
class Bad(Exception): pass
def succ(st):
    sides,s,d,ring,taken,kills,ret=st
    for P in (0,1):
        Q=1-P
        alive,op,pc,a,refs,tail,pos,got=sides[P]
        def mk(side,s=s,d=d,ring=ring,taken=taken,kills=kills,ret=ret): return (up(sides,P,side),s,d,ring,taken,kills,ret)
        if not alive:
            # restart: begins repair (holds P's lock)
            yield ("restart%d"%P, mk((1,"rep",0,(),Z,0,0,Z)))
            continue
        if kills<MAXK:
            inhand={(P+20,got[x]-1) for x in range(NB) if refs[x] and got[x]!=d[P][x] and got[x]<=taken[P]}
            yield ("kill%d"%P, mk((0,None,0,(),Z,0,0,Z),kills=kills+1,ret=add(ret,*inhand)))
        if op is None:
            for x in range(NB):
                if HOME[x]==P and refs[x]==0: yield ("alloc%d.%d"%(P,x), mk((1,"alloc",0,(x,),refs,tail,pos,got)))
                if refs[x]>0:
                    if tail<MAXPOS and tail-taken[Q]<N and s[P][x]==d[Q][x]:
                        keeps=refs[x]>1 and got[x]!=d[P][x]
                        yield ("write%d.%d"%(P,x), mk((1,"write",3 if keeps else 0,(x,),refs,tail,pos,got)))
                    yield ("put%d.%d"%(P,x), mk((1,"put",0,(x,),up(refs,x,refs[x]-1),tail,pos,got)))
                    if refs[x]<2: yield ("get%d.%d"%(P,x), mk((1,None,0,(),up(refs,x,refs[x]+1),tail,pos,got)))
            e=ring[Q][pos%N]
            if e[1]==ph(pos): # take
                x=e[0]; yield ("read%d@%d=%d"%(P,pos,x), mk((1,"read",0,(x,),up(refs,x,refs[x]+1),tail,pos+1,up(got,x,pos+1))))
        elif op=="alloc":
            x=a[0]
            if pc==0: ok=d[Q][x]==s[P][x]; yield ("a0", mk((1,"alloc",1,a,refs,tail,pos,got) if ok else (1,None,0,(),refs,tail,pos,got)))
            else:
                ok=s[Q][x]==d[P][x] and refs[x]==0
                if ok:
                    # I1
                    if sides[Q][0] and sides[Q][4][x]>0: raise Bad("handed out while peer holds it")
                    for R in (0,1):
                        h=taken[1-R]; t=scan(ring,R,h)
                        for m in range(h,t):
                            if ring[R][m%N][0]==x: raise Bad("handed out while queued %d->%d at %d"%(R,1-R,m))
                    yield ("a1", mk((1,None,0,(),up(refs,x,1),tail,pos,got)))
                else: yield ("a1-", mk((1,None,0,(),refs,tail,pos,got)))
        elif op=="write":
            x=a[0]
            if pc==3: yield ("keep", mk((1,"write",0,a,refs,tail,pos,got),taken=up(taken,2+P,tail+1)))
            elif pc==0: yield ("mark", mk((1,"write",1,a,up(refs,x,refs[x]-1),tail,pos,got),s=up(s,P,up(s[P],x,tail+1)),
                ret=ret if refs[x]>1 or got[x]==d[P][x] else add(ret,(P+10,got[x]-1))))
            elif pc==1:
                nd=d if refs[x] else up(d,P,up(d[P],x,got[x]))
                yield ("wdone", mk((1,"write",2,a,refs,tail,pos,got),d=nd))
            else: yield ("publish", mk((1,None,0,(),refs,tail+1,pos,got),ring=pub(ring,P,tail,x)))
        elif op=="put":
            x=a[0]; nd=d if refs[x] else up(d,P,up(d[P],x,got[x]))
            yield ("pdone", mk((1,None,0,(),refs,tail,pos,got),d=nd))
        elif op=="read":
            key=(P,pos-1)
            if key in ret: raise Bad("position delivered twice %r"%(key,))
            yield ("taken", mk((1,"ret",0,a,refs,tail,pos,got),taken=up(taken,P,pos)))
        elif op=="ret":
            key=(P,pos-1)
            if key in ret: raise Bad("position delivered twice %r"%(key,))
            yield ("return", mk((1,None,0,(),refs,tail,pos,got),ret=tuple(sorted(ret+(key,)))))
        elif op=="rep":
            if pc==0:
                h=taken[Q]; t=scan(ring,P,h); yield ("r-tail", mk((1,"rep",1,(),refs,t,taken[P],got)))
            elif pc==1: # roll forward
                xs=[x for x in range(NB) if s[P][x]>tail]
                if not xs: yield ("r-nomark", mk((1,"rep",2,(0,),refs,tail,pos,got),taken=up(taken,2+P,0)))
                else:
                    x=min(xs,key=lambda y:s[P][y])
                    if s[P][x]!=tail+1: yield ("r-remark", mk((1,"rep",1,(),refs,tail,pos,got),s=up(s,P,up(s[P],x,tail+1))))
                    elif taken[2+P]!=tail+1 and d[P][x]!=s[Q][x]<=taken[P]: yield ("r-done", mk((1,"rep",1,(),refs,tail,pos,got),d=up(d,P,up(d[P],x,s[Q][x]))))
                    else: yield ("r-publish", mk((1,"rep",1,(),refs,tail+1,pos,got),ring=pub(ring,P,tail,x)))
            else:
                x=a[0]
                if x==NB:
                    again={(P,got[y]-1) for y in range(NB) if refs[y]}
                    lost=[m for m in range(taken[P]) if (P,m) not in ret and (P,m) not in again]
                    if lost: raise Bad("taken by the dead, never returned: %r"%lost)
                    for y in range(NB):
                        if refs[y] and (P+10,got[y]-1) in ret: raise Bad("delivered again though it was sent on and nothing kept")
                    for side,m in ret:
                        if side==P+20 and (P,m) not in again: raise Bad("held by the dead, not delivered again: %d"%m)
                    ret=tuple(r for r in ret if r[0]!=P+20)
                    ret2=tuple(sorted(set(ret)|again))
                    yield ("r-end", mk((1,None,0,(),refs,tail,pos,tuple(got[y] if refs[y] else d[P][y] for y in range(NB))),ret=ret2))
                elif len(a)==1: yield ("r-load", mk((1,"rep",2,(x,s[Q][x]),refs,tail,pos,got)))
                else:
                    v=a[1]; again=v!=d[P][x] and v-1<taken[P]   # what the dead held is held again, to be delivered marked
                    yield ("r-held", mk((1,"rep",2,(x+1,),up(refs,x,1) if again else refs,tail,pos,up(got,x,v) if again else got)))
def drain_ok(st):
    # both alive and idle, nothing held, nothing queued => all free
    sides,s,d,ring,taken,_,_=st
    if not all(z[0] and z[1] is None for z in sides): return True
    if any(any(z[4]) for z in sides): return True
    for R in (0,1):
        if scan(ring,R,taken[1-R])!=taken[1-R]: return True
    return all(s[0][x]==d[1][x] and s[1][x]==d[0][x] for x in range(NB))
seen={init:None}; stack=[init]; t0=time.time(); n=0
def trace(st):
    out=[]
    while seen[st]: out.append(seen[st][0]); st=seen[st][1]
    return " ".join(reversed(out))
while stack:
    st=stack.pop(); n+=1
    if n%20000==0 and time.time()-t0>LIMIT: print("time limit",n,"states"); sys.exit(1)
    if not drain_ok(st): print("LEAK",trace(st)); print(st); sys.exit(1)
    try:
        for name,nx in succ(st):
            if nx not in seen: seen[nx]=(name,st); stack.append(nx)
    except Bad as e: print("BAD",e,"|",trace(st)); sys.exit(1)
else: print("exhausted",n,"states, no violation")
