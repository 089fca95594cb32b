# lossproof repro softmax/float32/single/s1x17x24-ax0/42e04198 --target ncnn
"""softmax in float32, shape (1, 17, 24), with ncnn alone."""
# Observed with ncnn 1.0.20261020, numpy 2.4.6, python 3.11.7: 0.9999999403953552
import base64, struct, zlib
import ncnn
import numpy as np

def unpack(kind, text):  # numbers of a type of the module struct, compressed, in base 85
    return [v for v, in struct.iter_unpack("<" + kind, zlib.decompress(base64.b85decode(text)))]

x = np.array(unpack("f", "c-keDeNa}{5ysalg!oa>=maautDqrb07Z0?Y4iYRx6w3FI&H8zFJ42fl?W26mZFY}il{*XqtP(X@kW!e+7D4;)L4fTxVsL)SUOX&nwq?cQPUaIDmKwlJN8cd-}z(DIlIsEdzRl@kI>j)p*}<0krag&ZX#rs5gcz8$Nl2g9uluAS^111DCxKGUYzA8Tb1|k74z#1HMn0Q*X9uyot4(A%>+E0IN@8$dxt9YOcI_vL1Xs@5I<Ome0sUKidx~qM#&yjP2TOz8sln;{OCpE=p!0=eZ88;j-r=6oJ@Qp!qGT#i31gW_$)dbAt;)S{K^V}U#1~n%o4~MhpxFBz09EmyX&mGvX*#pI8S$X!2eoCT-b#W%gT4e0<oE5(l4V)uR(LEoZv_ay04STEZc{%3+oitbauMV=M>6cvcTIB_N+v>wGWv_qW^&*_s$i8>{{fhM-Z-$N0)RFAumH>IzY`IQj{|rvBw=$FXtKc#tjPJzk`syf*|+b2pfJvaOX3Dl1mmotq<Jo5o&VVk-s}wp(PFdzbBG+f3$jCRSNMf)~(7>H}f@txG$_fI!~c81s4=mYxex38hK=;Lc^c}PKzqT4T0&QXAimq^VALk|K-3HexG1Uy28?X*8J%yf?X?>8!rg#4iKuv@+lHnJ<bBQTW>;=a$mmyPD8HD5zhM@;mXg&tvHC#an-`y1C~Fk6_^$>aiCaY@uL;m{~Ew6cdWxc<TV{)-n}W2&5x36tr1teU0}yNfl+@e;3wv)|9O`3^*jH+pD|Ei!6*x*m#iD%1iZ&BtWL9T?(1TnuS1_E5v=VMIQ<VaYuYiKIe?i{iK{$ef1<dQYhotUAusSSa=%Pj5|vNYqdT)iVQ{=P^S6pAX%=wj11`-GNLnYM9>TqEiuaf4#3!Q)|4daM$7t+SB|*#az(_N4TRy_!$q3IsCwz7Y@}g~6vAc$1<Esf;w{$>eljYkL2+>Vw&cu+*hl|TS8G2bvaOhr8@t{WCv4I51frSH;186vu@BH7QyVZoSC{<v?W*fs$x56djri8rh2sJJ&By;g4<rBLQlG6iT{ypX655oEu%N?&G_a&)cT1#&Io{*6(TCpX})h~`()43D*>R{w4x#SYcDb}{0V4_-{oGy_gPZD2$8{ys6Xg&-x)72M1^_K!S>aE{DOwBw{7@vTCccPk4E+ePrhPiLU*whSybs-a}k15RlvjtOJz;3yECl@M|jtKbPK{VSRSFbEi;WvB4ol8@$TPRRD1HG(#0y9G4nRB6+3D%6=FXmcQBg4Yn-snZHuNC*rO@VWQCZ$av;S4(W5Y5wv!*h}F)Ovw6W01d^g^<uy0Ov0SZq@tZor)4)OaEV;|EntESrgHn&!Wf=UQqYDtq7-Q5mf!h`rRQji$hO7NFs=zW1;fR0$6%Xc>Xkjo<xMt76{ypl1siV@I{&MqQmGvP3oGW6w6Dao{!t8A>%l4bAy<9AEA5p2{Pq%80!u5JJJu}YLmFP&k1KFqOq3+8VWj1bP4gCCD{72oeD!vh&vJXyK%U>mSW{&M3B{Hp=F%%jIV`1jYpm{GR$a|^>&R^P91_CN6G9>R9O5L!nRKW-nbO`?gccPzCk~4DDlG$!d(wT&fgOAXs)`99}~Yn5Mjn_gsN=;-+GZ?Q-_6*!yR=v)V?CF6W%CASJI8(X63`aT!n%U1GvAc)BDPh3F+ellh6%|5?nrO`PDy$dD<rY@)&{sec|4B);0Bt+jteZE9^UxFD~^B^jpGz2h69)sPB-UnW0cTN_g~EfiLd{vFSy`V?(xf_Swj?T<VF`5d8kz0%H$ah)x&t({_QG?;w;7lK%qjN5ys"), np.float32).reshape((1, 17, 24))
net = ncnn.Net()
net.opt.use_vulkan_compute = False
net.opt.use_fp16_packed = False
net.opt.use_fp16_storage = False
net.opt.use_fp16_arithmetic = False
net.opt.use_bf16_storage = False
net.load_param_mem('7767517\n2 2\nInput x 0 1 x\nSoftmax softmax 1 1 x value 0=0 1=1\n')
net.load_model(ncnn.DataReaderFromEmpty())
extractor = net.create_extractor()
extractor.input("x", ncnn.Mat(x).clone())
value = np.array(extractor.extract("value")[1])
observed = value.astype(float).tolist()[0][8][0]
exact, allowed = 1.0, 0.0
right = abs(observed - exact) <= allowed
print("value[0, 8, 0]: observed", observed, "exact", exact, "allowed error", allowed)
print("ncnn", ncnn.__version__)
raise SystemExit(0 if right else 1)
