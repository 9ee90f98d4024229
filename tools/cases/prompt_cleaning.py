"""Prompts that are misread, escaped or set in odd characters, and what the Wan pipelines make of them.

    pip install ftfy==6.3.1 regex
    python tools/cases/prompt_cleaning.py src/test/resources/prompts/cleaned.json [EVERY]

Writes {kind, text, clean} for every EVERY-th text (1: all of them). PromptCleaningTest reads it.
"""
import html
import json
import random
import sys
import unicodedata

import ftfy
import regex as re


def clean(t):
    t = html.unescape(html.unescape(ftfy.fix_text(t))).strip()
    return re.sub(r"\s+", " ", t).strip()


rnd = random.Random(5)
base = """A fox runs through the snow at dawn, cinematic lighting.
Ein Mädchen trägt ein rotes Kleid, während es über die Straße läuft.
Un café à Paris, l'été dernier: élégant, naïf, déjà vu.
El niño corrió detrás del pingüino; ¿quién lo vio? ¡Él!
Żółta łódź płynie przez jezioro, ćma siedzi na gałęzi.
Příliš žluťoučký kůň úpěl ďábelské ódy.
Быстрая лиса прыгает через ленивую собаку.
Ένα μικρό σκυλί τρέχει στο πάρκο.
一只小猫在草地上慢慢地走，下着雨。
東京の夜、雨が降っている。ネオンが光る。
서울의 밤거리를 걷는 사람들
دو مرد در خیابان راه می‌روند
ילד רץ בפארק
एक लड़की बारिश में नाच रही है
เด็กผู้หญิงวิ่งเล่นในสวน
Một cô gái đang đi dạo trong công viên
“Curly quotes” and ‘single ones’ — dashes – and ellipsis…
Price: €20, £15, ¥300, 50°C, ±3, ½ cup, 3×4, ®, ©, ™
Smørrebrød på bordet, Ærø, Åse
İstanbul'da güneşli bir gün, ığdır şarkısı
🙂 emoji 👩‍👩‍👧 family 🇫🇷 flag 🚀 to the moon
Señor, the jalapeño is “très bien”… naïve façade
Tom & Jerry <b>bold</b> 1 < 2 > 0
ﬁne ﬂow oﬃce ﬀ ﬅ ﬆ ĳ Ǆ ǉ ŉ
Ｆｕｌｌ　ｗｉｄｔｈ！ ﾊﾝｶｸ
Dvořák’s “New World”, Antonín
It’s 5 o’clock – don’t worry
Qualité supérieure : « parfait » !
ÀÉÎÕÜ ÇÑ ß œuvre Œuvre
L’Île-d’Orléans, Québec, été 2020
São Paulo à noite, coração, não, João
Łódź, Kraków, Gdańsk""".split("\n")
out = []
def add(kind, t): out.append(dict(kind=kind, text=t, clean=clean(t)))
encs = ['cp1252', 'latin-1', 'cp1250', 'cp1251', 'cp437', 'iso-8859-2', 'mac_roman', 'cp1253', 'cp1254', 'cp1257']
def sloppy(b, enc):
    r = ''
    for x in b:
        try: r += bytes([x]).decode(enc)
        except UnicodeDecodeError: r += chr(x)
    return r
for t in base:
    add('plain', t)
    add('nfd', unicodedata.normalize('NFD', t))
    for e in encs: add('mojibake ' + e, sloppy(t.encode('utf8'), e))
    m = sloppy(t.encode('utf8'), 'cp1252'); add('twice', sloppy(m.encode('utf8'), 'cp1252'))
    words = t.split(' ')
    for _ in range(3):
        w = list(words)
        for i in range(len(w)):
            if rnd.random() < 0.3: w[i] = sloppy(w[i].encode('utf8'), 'cp1252')
        add('part', ' '.join(w))
    add('nbsp to space', sloppy(t.encode('utf8'), 'cp1252').replace('\xa0', ' '))
    add('latin controls', sloppy(t.encode('cp1252', 'ignore'), 'latin-1'))
    add('entities', html.escape(t)); add('entities twice', html.escape(html.escape(t)))
    add('named', ''.join('&%s;' % html.entities.codepoint2name[ord(c)] if ord(c) in html.entities.codepoint2name and rnd.random() < 0.7 else c for c in t))
    add('numeric', ''.join('&#%d;' % ord(c) if rnd.random() < 0.3 else '&#x%x' % ord(c) + ';' if rnd.random() < 0.2 else c for c in t))
    ws = ['\t', '\n', '\r\n', '\r', '\u2028', '\u2029', '\x85', '\xa0', '\u3000', '\u2009', '\u202f', '\u200b', '\x0b', '\x0c', '\x1c', '\x1f', '\u1680', '\u180e', '  ', '\ufeff']
    for _ in range(3): add('spaces', ''.join((rnd.choice(ws) if c == ' ' and rnd.random() < 0.7 else c) for c in t) + rnd.choice(ws))
    ctl = ['\x1b[31m', '\x1b[0m', '\x1b[1;32m', '\x00', '\x07', '\x08', '\x7f', '\ufeff', '\ufffc', '\u206a', '\ufff9', '\x0e', '\x1b', '\x1b[', '\u00ad', '\u200e', '\u202a', '\u2066']
    for _ in range(2): add('controls', ''.join(c + (rnd.choice(ctl) if rnd.random() < 0.1 else '') for c in t))
    add('lines', t + '\n' + sloppy(t.encode('utf8'), 'cp1252') + '\n' + html.escape(t))
    add('entity and tag', t + ' &lt;i&gt; <br> &amp;')
for c in range(0xa0, 0x250): add('character', 'x%sy %s' % (chr(c), chr(c)))
for c in list(range(0x2000, 0x2070)) + list(range(0x20a0, 0x20c0)) + list(range(0x2100, 0x2150)) + list(range(0xff00, 0xfff0)) + list(range(0xfb00, 0xfb20)): add('character', 'x%sy %s' % (chr(c), chr(c)))
for c in list(range(0x00, 0xa0)): add('character', 'x%sy %s' % (chr(c), chr(c)))
for e in ['&eacute', '&eacutex', '&notit;', '&copy', '&COPY;', '&EACUTE;', '&Eacute;', '&amp;eacute;', '&#38;lt;', '&#x26;#60;', '&ampamp;', '&quot;', '&apos;', '&hellip;', '&mdash;', '&nbsp', '&#128;', '&#150;', '&#x9f;', '&#0;', '&#1;', '&#11;', '&#13;', '&#xfdd0;', '&#xffff;', '&#99999999;', '&;', '&#;', '&#x;', '&amp', '&AMP;', '&lt', '&LT', '&gt;&lt;', '&ZeroWidthSpace;', '&NoBreak;', '&rarr;', '&rArr;', '&DoubleRightArrow;', '&fjlig;', '&bne;', '&acE;']:
    add('entity', e); add('entity', 'a ' + e + ' b'); add('entity', '<p> ' + e)
every = int(sys.argv[2]) if len(sys.argv) > 2 else 1
with open(sys.argv[1], "w") as file:
    json.dump(out[::every], file, indent=0)
print(len(out[::every]), "texts of", len(set(o["kind"] for o in out)), "kinds")
