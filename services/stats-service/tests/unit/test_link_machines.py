"""Which user agents are people's: browsers of every make, pages opened inside apps. And which are machines'."""

import json
import re
from importlib.resources import files
from typing import Any

import pytest
from crawleruseragents import CRAWLER_USER_AGENTS_DATA
from stats_service.adapters import link_machines
from stats_service.adapters.link_machines import KEPT, LinkMachines

IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
ANDROID = "Mozilla/5.0 (Linux; Android 14; SM-S918B Build/UP1A.231005.007; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/131.0.6778.39 Mobile Safari/537.36"
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
PEOPLE = [
    # Browsers
    f"{IPHONE} Version/18.1 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (iPad; CPU OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.6 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
    f"{IPHONE} CriOS/131.0.6778.31 Mobile/15E148 Safari/604.1",
    f"{IPHONE} FxiOS/132.0 Mobile/15E148 Safari/605.1.15",
    f"{IPHONE} Version/18.0 EdgiOS/130.0.2849.68 Mobile/15E148 Safari/604.1",
    f"{IPHONE} OPiOS/16.0.15.124050 Mobile/15E148 Safari/9537.53",
    f"{IPHONE} Version/18.1 Mobile/15E148 DuckDuckGo/7 Safari/605.1.15",
    f"{WINDOWS} Chrome/131.0.0.0 Safari/537.36",
    f"{WINDOWS} Chrome/131.0.0.0 Safari/537.36 Edg/131.0.2903.48",
    f"{WINDOWS} Chrome/130.0.0.0 Safari/537.36 OPR/115.0.0.0",
    f"{WINDOWS} Chrome/128.0.0.0 YaBrowser/24.10.0.0 Safari/537.36",
    f"{WINDOWS} Chrome/130.0.0.0 Safari/537.36 Vivaldi/7.0.3495.11",
    f"{WINDOWS} coc_coc_browser/124.0.0 Chrome/118.0.0.0 Safari/537.36",
    f"{WINDOWS} Chrome/122.0.0.0 Whale/3.25.232.19 Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0",
    "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
    "Mozilla/5.0 (Android 14; Mobile; rv:132.0) Gecko/132.0 Firefox/132.0",
    "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 14; SAMSUNG SM-G998B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/26.0 Chrome/122.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; U; Android 13; ru-ru; Redmi Note 12 Build/TKQ1.221114.001) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/112.0.5615.136 Mobile Safari/537.36 XiaoMi/MiuiBrowser/14.15.1-gn",
    "Mozilla/5.0 (Linux; Android 12; LIO-AN00; HMSCore 6.14.0.302) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/114.0.5735.196 HuaweiBrowser/15.0.4.312 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; U; Android 13; en-US; V2203 Build/TP1A.220624.014) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/100.0.4896.58 UCBrowser/13.8.5.1317 Mobile Safari/537.36",
    "Opera/9.80 (Android; Opera Mini/77.0.2254/191.283; U; en) Presto/2.12.423 Version/12.16",
    "Mozilla/5.0 (Linux; Android 14; CUBOT P80) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 9; CUBOT_X18_Plus) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 11; PDKT00) AppleWebKit/537.36 (KHTML, like Gecko) SogouMobileBrowser/5.30.10 Chrome/83.0.4103.120 Mobile Safari/537.36",
    "Mozilla/5.0 (SMART-TV; Linux; Tizen 7.0) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/2.2 Chrome/94.0.4606.31 TV Safari/537.36",
    # Inside Telegram, on both
    "Mozilla/5.0 (Linux; Android 14; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.6778.39 Mobile Safari/537.36 Telegram-Android/11.4.2 (Samsung SM-S918B; Android 14; SDK 34; HIGH)",
    f"{IPHONE} Mobile/15E148",
    # Inside others
    f"{IPHONE} Mobile/22B83 [FBAN/FBIOS;FBAV/488.0.0.64.104;FBBV/665337277;FBDV/iPhone15,2;FBMD/iPhone;FBSN/iOS;FBSV/18.1;FBSS/3;FBCR/;FBID/phone;FBLC/de_DE;FBOP/80]",
    f"{ANDROID} [FB_IAB/FB4A;FBAV/488.0.0.66.77;IABMV/1;]",
    f"{ANDROID} [FB_IAB/Orca-Android;FBAV/483.0.0.42.109;]",
    f"{IPHONE} Mobile/22B83 Instagram 357.0.7.28.100 (iPhone15,2; iOS 18_1; en_US; en; scale=3.00; 1179x2556; 662944209; IABMV/1)",
    f"{ANDROID} Instagram 356.0.0.41.101 Android (34/14; 450dpi; 1080x2115; samsung; SM-S918B; dm3q; qcom; de_DE; 661414216; IABMV/1)",
    f"{IPHONE} Mobile/15E148 Snapchat/13.15.0.41 (like Safari/8617.2.4.10.8, panda)",
    f"{IPHONE} Mobile/15E148 Twitter for iPhone/10.66",
    f"{ANDROID} TwitterAndroid",
    f"{IPHONE} Mobile/15E148 [LinkedInApp]/9.30.2142",
    f"{IPHONE} Mobile/15E148 [Pinterest/iOS]",
    f"{ANDROID} musical_ly_2023705030 JsSdk/1.0 NetType/WIFI Channel/googleplay AppName/musical_ly app_version/37.5.3 ByteLocale/en BytedanceWebview/d8a21c6",
    f"{IPHONE} Mobile/15E148 MicroMessenger/8.0.54(0x18003631) NetType/WIFI Language/en",
    f"{ANDROID} Line/14.18.1/IAB",
    f"{ANDROID};KAKAOTALK 2411000",
    f"{IPHONE} Mobile/15E148 NAVER(inapp; search; 2000; 12.7.2; 15PRO)",
    f"{IPHONE} GSA/344.0.695551724 Mobile/15E148 Safari/604.1",
    f"{ANDROID} GSA/15.44.38.28.arm64",
    f"{ANDROID} Viber/23.6.0.9",
    f"{ANDROID} Reddit/2024.46.0",
    "",
]  # fmt: skip
MACHINES = [
    "TelegramBot (like TwitterBot)",
    "WhatsApp/2.24.22.78 A", "WhatsApp/2.2443.7 W", "WhatsApp/2.24.21.84 i",
    "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", "facebookexternalhit/1.1 Facebot Twitterbot/1.0",
    "meta-externalagent/1.1 (+https://developers.facebook.com/docs/sharing/webmasters/crawler)",
    "Twitterbot/1.0", "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)",
    "Mozilla/5.0 (compatible; vkShare; +http://vk.com/dev/Share)", "Viber/13.3.0.5",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", "Slack-ImgProxy (+https://api.slack.com/robots)",
    "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 11.6; rv:92.0) Gecko/20100101 Firefox/92.0 (compatible; Discordbot/2.0)",
    "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5 skype-url-preview@microsoft.com",
    "Synapse (bot; +https://github.com/matrix-org/synapse)", "Pinterestbot/1.0",
    "Iframely/1.3.1 (+https://iframely.com/docs/about)", "redditbot/1.0",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    f"{IPHONE} Version/8.0 Mobile/12F70 Safari/600.1.4 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)", "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
    "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)", "Sogou web spider/4.0(+http://www.sogou.com/docs/help/webmasters.htm#07)",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.1.1 Safari/605.1.15 (Applebot/0.1; +http://www.apple.com/go/applebot)",
    "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
    f"{WINDOWS} HeadlessChrome/131.0.0.0 Safari/537.36",
    "curl/8.5.0", "Wget/1.21.4", "python-requests/2.32.3", "Go-http-client/2.0", "okhttp/4.12.0", "axios/1.7.7", "Java/17.0.9", "aiohttp/3.11",
    "some-new-bot/0.1", "A brand new crawler", "Mozilla/5.0 (compatible; NeverHeardOfSpider; +https://x.example)",
]  # fmt: skip


@pytest.fixture(scope="module")
def machines() -> LinkMachines:
    return LinkMachines()


@pytest.mark.parametrize("user_agent", PEOPLE)
def test_a_browser_is_a_persons(machines: LinkMachines, user_agent: str) -> None:
    assert not machines(user_agent)


@pytest.mark.parametrize("user_agent", MACHINES)
def test_a_machine_is_nobodys(machines: LinkMachines, user_agent: str) -> None:
    assert machines(user_agent)


def test_all_that_the_package_knows_are_machines(machines: LinkMachines) -> None:
    known = [instance for entry in CRAWLER_USER_AGENTS_DATA for instance in entry["instances"]]
    assert len(known) > 2_000
    assert [one for one in known if not machines(one)] == []


def test_a_decision_is_made_once_and_few_are_kept_whatever_is_asked(monkeypatch: Any) -> None:
    asked: list[str] = []
    monkeypatch.setattr(link_machines, "is_crawler", lambda agent: asked.append(agent) or False)
    machines = LinkMachines()
    for number in range(KEPT + 10):
        machines(f"Mozilla/5.0 ({number}) {'x' * 100_000}")
    machines(f"Mozilla/5.0 ({KEPT + 9}) {'x' * 100_000}")
    assert len(asked) == KEPT + 10 and max(map(len, asked)) == link_machines.LOOKED_AT
    assert machines._decided.cache_info().currsize == KEPT


def test_every_entry_of_the_list_says_what_it_is_and_where_that_is_from() -> None:
    told = json.loads(files(link_machines.__package__).joinpath("link_machines.json").read_text())
    assert told["about"] and told.keys() == {"about", "machines", "people"}
    for entry in told["machines"] + told["people"]:
        assert entry.keys() == {"pattern", "is", "source"} and all(entry.values())
        re.compile(entry["pattern"])
