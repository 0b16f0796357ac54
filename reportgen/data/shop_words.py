"""The words of the synthetic shop: aisles, brands, products, tags and names of people. Lists are split at "|"."""

from __future__ import annotations

import re


def _split(words: str) -> tuple[str, ...]:
    return tuple(words.split("|"))


#: One product: name, price, flags, what people go on to.
SPEC = re.compile(r"(.+):(\d+)([*!]*)(?:>(.+))?")

# Per aisle: name; first letters of three aisles it goes with; brands; product lines; products as name:price, where
# * = used up, ! = sensitive, >name = what people go on to.
AISLES = (
    ("Coffee & Tea", "KHB", "Hearthline|Kaffa Lane|Blue Heron|Morrow & Finch",
     "Everyday|Barista|Slow Morning|Nordic|Heritage|Weekend|Copper Street|Travel",
     "Coffee Beans:14*|Espresso Pods:9*|Green Tea:8*|Chai Blend:9*|Paper Filters:5*|"
     "Pour-Over Set:36>Paper Filters|Espresso Machine:249>Espresso Pods|Hand Grinder:54>Coffee Beans|"
     "Teapot:32>Green Tea|Milk Frother:29|Stoneware Mug:14"),
    ("Kitchen", "CGH", "Hearthline|Tamarind & Sons|Oak Spoon|Lumen",
     "Everyday|Chef's Choice|Nordic|Heritage|Farmhouse|Compact|Copper Street|Family",
     "Chef's Knife:69>Whetstone|Whetstone:24|Cast-Iron Pan:58>Pan Brush|Pan Brush:9*|Sourdough Kit:32>Rye Starter|"
     "Rye Starter:6*|Salad Bowl:28|Spice Rack:39>Spice Refill|Spice Refill:5*|Olive Oil:13*|Cutting Board:35"),
    ("Home", "KWP", "Linden House|Soft Harbour|Tamarind & Sons|Nook",
     "Everyday|Nordic|Harbour|Coastal|Heritage|Cosy|Meadow|Midnight",
     "Linen Cushion:26|Wool Blanket:74|Duvet Cover:64>Pillowcase|Pillowcase:16|Reed Diffuser:24>Diffuser Refill|"
     "Diffuser Refill:12*|Scented Candle:17*|Storage Basket:29|Reading Lamp:59|Jute Rug:89|Laundry Soap:9*"),
    ("Garden", "OKP", "Fern & Furrow|Green Almanac|Oak Spoon|Wren Garden",
     "Everyday|Balcony|Cottage|Heritage|Meadow|Compact|Family|Riverside",
     "Herb Planter:29>Herb Seeds|Herb Seeds:4*|Potting Soil:8*|Plant Food:10*|Pruning Shears:27|Watering Can:24|"
     "Raised Bed:119>Potting Soil|Bird Feeder:22>Bird Seed|Bird Seed:7*|Garden Gloves:13|Solar Lantern:19"),
    ("Outdoor", "FCD", "North Fell|Trailmark|Fern & Furrow|Alder Peak",
     "Everyday|Summit|Ultralight|Weekend|Heritage|Family|Riverside|Nomad",
     "Daypack:79|Two-Person Tent:199>Tent Repair Kit|Tent Repair Kit:14|Sleeping Bag:119>Sleeping Bag Liner|"
     "Head Torch:34|Sleeping Bag Liner:28|Camp Stove:59>Gas Canister|Gas Canister:7*|Water Bottle:21|"
     "Merino Socks:18|Trail Bar Box:16*"),
    ("Fitness", "OWD", "Trailmark|Steady|Kinetic Lane|Soft Harbour",
     "Everyday|Studio|Summit|Balance|Compact|Pro|Midnight|Travel",
     "Yoga Mat:39>Yoga Block|Yoga Block:14|Resistance Band:12|Kettlebell:44|Foam Roller:26>Massage Ball|"
     "Massage Ball:9|Protein Powder:29*|Electrolyte Tablets:8*|Sports Watch:149>Watch Strap|Watch Strap:19|"
     "Weight-Loss Shake:24*!"),
    ("Stationery", "DBC", "Inkwell & Daughters|Paper Finch|Nook|Atlas Desk",
     "Everyday|Studio|Nordic|Heritage|Compact|Meadow|Midnight|Travel",
     "Fountain Pen:48>Ink Cartridges|Ink Cartridges:6*|Dotted Notebook:15>Notebook Refill|Notebook Refill:8*|"
     "Week Planner:22|Gel Pen Set:11*|Sketchbook:17>Drawing Pencils|Drawing Pencils:14*|Letter Set:13|"
     "Wax Seal Kit:25>Sealing Wax|Sealing Wax:7*"),
    ("Desk & Audio", "SHB", "Lumen|Atlas Desk|Quiet Fox|Kinetic Lane",
     "Everyday|Studio|Compact|Pro|Nordic|Midnight|Summit|Travel",
     "Headphones:129>Ear Pads|Ear Pads:19*|Desk Speaker:89|Keyboard:99>Keycap Set|Keycap Set:39|Wireless Mouse:45|"
     "USB-C Hub:49>USB-C Cable|USB-C Cable:12|Laptop Stand:42|Desk Lamp:64|Rechargeable Batteries:16*"),
    ("Books & Games", "CHS", "Paper Finch|Lantern Press|Green Almanac|Quiet Fox",
     "Pocket|Illustrated|Classic|Weekend|Family|Midnight|Collector's|Travel",
     "Cookbook:28|Mystery Novel:12>Mystery Sequel|Mystery Sequel:13|Poetry Collection:15|"
     "Card Game:14>Card Game Expansion|Card Game Expansion:11|Board Game:39|Jigsaw Puzzle:18|Crossword Book:8*|"
     "Grief Workbook:17!|Prayer Book:16!"),
    ("Wash & Beauty", "HFI", "Saltmarsh|Linden House|Petal & Pine|Blue Heron",
     "Everyday|Gentle|Coastal|Meadow|Nordic|Midnight|Calm|Travel",
     "Shampoo Bar:9*|Hand Cream:11*|Bath Salts:13*|Safety Razor:36>Razor Blades|Razor Blades:8*|"
     "Bamboo Toothbrush:5*|Hair Brush:21|Soap Dispenser:18>Soap Refill|Soap Refill:7*|Bath Towel:27|"
     "Hair-Loss Serum:32*!"),
    ("Pets", "HGO", "Barkley's|Whisker Lane|Wren Garden|Good Paw",
     "Everyday|Junior|Senior|Country|Cosy|Gentle|Family|Travel",
     "Dog Food:34*|Cat Food:29*|Dog Treats:8*|Cat Litter:12*|Dog Lead:24|Dog Bed:69>Dog Bed Cover|"
     "Dog Bed Cover:28|Cat Tree:84>Scratching Pad|Scratching Pad:12*|Feeding Bowl:16|"
     "Pet Fountain:44>Fountain Filter|Fountain Filter:10*"),
    ("Intimate Health", "WHF", "Calmwell|Petal & Pine|Ovia Grey|Steady",
     "Everyday|Gentle|Discreet|Balance|Calm|Sensitive|Compact|Travel",
     "Menstrual Cup:24!>Cup Cleanser|Cup Cleanser:9*!|Condoms:11*!|Lubricant:13*!|Pregnancy Test:9*!|"
     "Ovulation Test:15*!|Glucose Meter:39!>Glucose Strips|Glucose Strips:26*!|Sleep Tablets:12*!|"
     "Nicotine Patches:22*!|Heat Patches:10*!"),
)  # fmt: skip
TAGS = _split("vegan|recycled|handmade|gift|small spaces|refillable|quiet|organic|for two|fair trade|rainy days|local")
NAMES = _split(
    "Amara|Mateo|Zoë|Kofi|Ingrid|Yusuf|Priya|Lukas|Chloé|Hiro|Nadia|Søren|Leila|Tomás|Aisha|Bram|Noor|Elif|Jakub|Maeve|"
    "Wei|Xin|Mei|Ravi|Sofia|Omar|Freya|Diego|Anouk|Kwame|Hana|Oskar|Thandi|Giulia|Samir|Astrid|Linh|Mira|Jonas|Ximena"
)
NAMES_ZH = tuple(a + b for a in "王李张刘陈杨赵黄" for b in _split("芳|伟|娜|静|小雨|明轩|思远|佳怡|晓东|雨桐"))
